#!/bin/sh
# Makes this host an object store (S3 by rclone, over TLS, on port 9445), and a key of dumps.
set -eu

mkdir -p /srv/s3/backups /srv/tls
if [ ! -e /srv/tls/store.key ]; then
    openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -subj /CN=store -addext subjectAltName=DNS:store \
        -keyout /srv/tls/store.key -out /srv/tls/store.crt 2>/dev/null
fi
[ -e /root/age.key ] || age-keygen -o /root/age.key 2>/dev/null
age-keygen -y /root/age.key >/root/age.pub
printf '[Service]\nExecStart=%s\nRestart=always\n[Install]\nWantedBy=multi-user.target\n' \
    "/usr/local/bin/rclone serve s3 --addr :9445 --auth-key pgstead,$1 --cert /srv/tls/store.crt --key /srv/tls/store.key --vfs-cache-mode off /srv/s3" \
    >/etc/systemd/system/s3.service
systemctl daemon-reload
systemctl enable --now --quiet s3

#!/bin/sh
# Makes this host two object stores over TLS, and a key of dumps: S3 by rclone on port 9445, and on 9446 S3 by moto, which keeps
# versions. moto ends connections in a way that pgBackRest takes for an attack, so nginx is before it.
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
printf '[Service]\nExecStart=/usr/bin/python3 /root/versions_server.py -H 127.0.0.1 -p 9447\nRestart=always\n[Install]\nWantedBy=multi-user.target\n' \
    >/etc/systemd/system/versions.service
cat >/etc/nginx/sites-enabled/default <<'END'
server {
    listen 9446 ssl;
    ssl_certificate /srv/tls/store.crt;
    ssl_certificate_key /srv/tls/store.key;
    client_max_body_size 0;
    location / {
        proxy_pass http://127.0.0.1:9447;
        proxy_set_header Host $http_host;
    }
}
END
systemctl daemon-reload
systemctl enable --now --quiet s3 versions
systemctl restart nginx

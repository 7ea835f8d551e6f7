#!/bin/sh
# Makes this host three stores: S3 by rclone (port 9445), Azure by azurite (port 10000), SFTP by OpenSSH. TLS throughout.
set -eu

mkdir -p /srv/s3/backups /srv/azure /srv/tls
if [ ! -e /srv/tls/store.key ]; then
    openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -subj /CN=store -addext subjectAltName=DNS:store \
        -keyout /srv/tls/store.key -out /srv/tls/store.crt 2>/dev/null
fi
id backup-store >/dev/null 2>&1 || useradd --create-home --home-dir /srv/sftp backup-store
mkdir -p /srv/sftp/.ssh
# in the old form, which every libssh2 reads
[ -e /root/sftp ] || ssh-keygen -q -t rsa -b 3072 -m PEM -N "" -f /root/sftp
cp /root/sftp.pub /srv/sftp/.ssh/authorized_keys
[ -e /root/age.key ] || age-keygen -o /root/age.key 2>/dev/null
age-keygen -y /root/age.key >/root/age.pub
sed 's/^/store /' /etc/ssh/ssh_host_*_key.pub >/root/known_hosts
chown -R backup-store: /srv/sftp
chmod 700 /srv/sftp/.ssh

unit() {
    printf '[Service]\nExecStart=%s\nRestart=always\n[Install]\nWantedBy=multi-user.target\n' "$2" >"/etc/systemd/system/$1.service"
}
unit s3 "/usr/local/bin/rclone serve s3 --addr :9445 --auth-key pgstead,$1 --cert /srv/tls/store.crt --key /srv/tls/store.key --vfs-cache-mode off /srv/s3"
unit azure "/usr/bin/node /opt/azurite/node_modules/azurite/dist/src/blob/main.js --blobHost 0.0.0.0 --blobPort 10000 --location /srv/azure --cert /srv/tls/store.crt --key /srv/tls/store.key --skipApiVersionCheck --disableTelemetry"
systemctl daemon-reload
systemctl enable --now --quiet s3 azure ssh

# The key under a passphrase that is a sealed credential, then the key itself as one. Part of booted.sh.
cd /var/lib/edgeseal
before=$(kid)
drop_in=/etc/systemd/system/edgeseal-agent.service.d/credentials.conf
give() {
  mkdir -p "$(dirname $drop_in)"
  printf '[Service]\nLoadCredentialEncrypted=%s\n' "$1" >$drop_in
  systemctl daemon-reload
  systemctl restart edgeseal-agent
  within "it runs with $1" active
}
openssl rand -base64 32 >/root/passphrase
systemd-creds encrypt --name=edgeseal-passphrase /root/passphrase /etc/edgeseal/passphrase.cred
cp -a identity.pem /root/identity.pem
openssl pkcs8 -topk8 -scrypt -in /root/identity.pem -passout file:/root/passphrase -out /tmp/encrypted
cat /tmp/encrypted >identity.pem
grep -q "ENCRYPTED" identity.pem

systemctl restart edgeseal-agent
within "it runs without the passphrase" active
systemctl status edgeseal-agent --no-pager | grep >/dev/null "not signing"
refused identity-passphrase edgeseal-agent identity show
give edgeseal-passphrase:/etc/edgeseal/passphrase.cred
[ "$(kid)" = "$before" ]
state signing ok
systemd-run --quiet --pipe --wait -p User=edgeseal \
  -p LoadCredentialEncrypted=edgeseal-passphrase:/etc/edgeseal/passphrase.cred edgeseal-agent identity show | grep -q "$before"
ok "a key that OpenSSL encrypted, its passphrase a sealed credential"

systemd-creds encrypt --name=edgeseal-identity /root/identity.pem /etc/edgeseal/identity.cred
shred -u identity.pem
give edgeseal-identity:/etc/edgeseal/identity.cred
[ "$(kid)" = "$before" ]
state signing ok
state identity ok
sign >/dev/null
ok "the key itself as a sealed credential"

rm $drop_in
cp -a /root/identity.pem identity.pem
systemctl daemon-reload
systemctl restart edgeseal-agent
within "it runs as before" active
state signing ok
cd /root

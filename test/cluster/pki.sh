#!/bin/bash
# Makes the cluster's certificates, keys and kubeconfigs in a folder.
#
#   test/cluster/pki.sh FOLDER NODE_ADDRESS SERVICE_ADDRESS
set -eu
mkdir -p "$1"
cd "$1"
node=$2
service=$3

# Debian's own configuration would make every certificate an authority.
printf '[req]\ndistinguished_name = name\n[name]\n' >openssl.cnf
certify() { # certify NAME SUBJECT OPTION…
  openssl req -config openssl.cnf -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 \
    -keyout "$1.key" -out "$1.crt" -subj "$2" "${@:3}" 2>openssl.log || { cat openssl.log >&2; exit 1; }
}
signed() { # signed NAME SUBJECT [ALTERNATIVE NAMES]
  certify "$1" "$2" -CA ca.crt -CAkey ca.key -addext extendedKeyUsage=serverAuth,clientAuth \
    -addext "subjectAltName=${3:-DNS:$1}"
}
certify ca /CN=cluster-ca -addext basicConstraints=critical,CA:TRUE -addext keyUsage=keyCertSign
signed apiserver /CN=kube-apiserver "DNS:localhost,DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,IP:127.0.0.1,IP:$service,IP:$node"
signed admin /O=system:masters/CN=admin
signed kubelet /O=system:nodes/CN=system:node:lab "DNS:lab,DNS:localhost,IP:127.0.0.1,IP:$node"
signed controller-manager /CN=system:kube-controller-manager
signed scheduler /CN=system:kube-scheduler
openssl ecparam -genkey -name prime256v1 -noout -out service-accounts.key
openssl ec -in service-accounts.key -pubout -out service-accounts.pub 2>/dev/null

for user in admin kubelet controller-manager scheduler; do
  cat >"$user.kubeconfig" <<END
apiVersion: v1
kind: Config
clusters: [{ name: cluster, cluster: { server: "https://127.0.0.1:443", certificate-authority: $PWD/ca.crt } }]
users: [{ name: $user, user: { client-certificate: $PWD/$user.crt, client-key: $PWD/$user.key } }]
contexts: [{ name: cluster, context: { cluster: cluster, user: $user } }]
current-context: cluster
END
done

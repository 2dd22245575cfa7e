#!/bin/bash
# What cluster.sh runs in the cluster's namespaces, as their first process:
#
#   node.sh CACHE keep FIRST READY     brings the node up, writes both files, stays
#   node.sh CACHE run FOLDER CMD…      brings the node up, ends with the command
#   node.sh CACHE inside FOLDER CMD…   only runs a command, in a node that is up
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cache=$1
log=$cache/log
state=/run/podplug-cluster
node=10.249.0.1
service=10.96.0.1
export KUBECONFIG=$state/pki/admin.kubeconfig PODPLUG_CLUSTER=$state
while read -r folder; do PATH="$folder:$PATH"; done <"$cache/folders"
export PATH

# Outside the namespaces the first process goes by another PID, which /proc, as
# it is mounted there, still tells.
read -r pid _ </proc/self/stat
cgroup=podplug-cluster-$pid

fail() { printf '%s\n' "cluster: $*" >&2; exit 1; }

start() { # start PROGRAM OPTION…: in the background
  # Its output outlives the node.
  setsid "$@" >"$log/$1.log" 2>&1 </dev/null &
}

wait_for() { # wait_for WHAT LOG COMMAND…
  local deadline=$((SECONDS + 60)) what=$1 of=$2
  shift 2
  until "$@" >/dev/null 2>&1; do
    [ "$SECONDS" -lt "$deadline" ] || fail "$what didn't happen within 60 s: $(tail -n 1 "$log/$of.log")"
    sleep 0.05
  done
}

# A folder of the machine's file system that programs write to whatever they are
# told. One that isn't there can't be covered, and must not be made on the host:
# then its parent is.
cover() {
  local folder=$1
  while [ ! -d "$folder" ]; do folder=${folder%/*}; done
  # What the node itself is made of stays in sight.
  case $here/:$cache/ in
    "$folder"/* | *:"$folder"/*) return ;;
  esac
  mount -t tmpfs -o mode=0755 tmpfs "$folder"
}

make_room() {
  mount -t proc proc /proc
  # Covered one by one, as the host's cgroups under it stay in use.
  mount --rbind /sys/fs/cgroup /mnt
  mount -t sysfs sysfs /sys
  mount --rbind /mnt /sys/fs/cgroup
  umount --lazy /mnt
  mount -t tmpfs -o mode=0755 tmpfs /run
  mkdir -p /run/netns /run/lock $state/{cni/bin,cni/net.d,etcd,kubelet,pod-logs,static-pods,tmp}
  ln -s "$log" $state/log
  # Of plugins, of the kubelet, whose device plugins' sockets are there wherever
  # its own folder is, and of pods that write to the node.
  cover /var/lib
  cover /var/log
  export TMPDIR=$state/tmp
  # The first time, ip(8) mounts /run/netns over itself: sandboxes made before
  # that could never be removed.
  ip netns add first && ip netns delete first
  for group in /sys/fs/cgroup /sys/fs/cgroup/*/; do
    # Of version 2, or each controller of version 1.
    [ ! -e "$group/cgroup.procs" ] || mkdir -p "$group/$cgroup"
  done
  printf '/%s\n' "$cgroup" >$state/cgroup
}

make_network() {
  ip link set lo up
  # Without a kube-proxy the API server answers at its service's address itself.
  ip address add $service/32 dev lo
  # A kubelet refuses a loopback address for its node.
  ip link add node0 type bridge
  ip address add $node/24 dev node0
  ip link set node0 up
  # A parent for the tests' macvlans.
  ip link add uplink0 type veth peer name uplink1
  ip link set uplink0 up
  ip link set uplink1 up
  echo 1 >/proc/sys/net/ipv4/ip_forward
}

import_images() {
  node "$here/images.ts" "$(command -v busybox)" $state/images.tar || fail "the pods' images could not be made"
  wait_for "containerd's answer" containerd ctr version
  ctr -n k8s.io images import $state/images.tar >"$log/images.log" 2>&1 ||
    fail "the pods' images could not be imported: $(tail -n 1 "$log/images.log")"
}

start_control_plane() {
  local pki=$state/pki
  wait_for "etcd's health" etcd curl -fsS http://127.0.0.1:2379/health
  start kube-apiserver --etcd-servers=http://127.0.0.1:2379 \
    --bind-address=0.0.0.0 --secure-port=443 --advertise-address=$node \
    --service-cluster-ip-range=10.96.0.0/16 --endpoint-reconciler-type=none \
    --tls-cert-file=$pki/apiserver.crt --tls-private-key-file=$pki/apiserver.key --client-ca-file=$pki/ca.crt \
    --kubelet-client-certificate=$pki/admin.crt --kubelet-client-key=$pki/admin.key \
    --kubelet-certificate-authority=$pki/ca.crt --kubelet-preferred-address-types=InternalIP \
    --service-account-issuer=https://kubernetes.default.svc \
    --service-account-key-file=$pki/service-accounts.pub --service-account-signing-key-file=$pki/service-accounts.key \
    --authorization-mode=Node,RBAC --enable-admission-plugins=NodeRestriction --allow-privileged=true \
    --cert-dir=$state/apiserver
  wait_for "the API server's readiness" kube-apiserver kubectl get --raw /readyz
  start kube-controller-manager --kubeconfig=$pki/controller-manager.kubeconfig \
    --authentication-kubeconfig=$pki/controller-manager.kubeconfig \
    --authorization-kubeconfig=$pki/controller-manager.kubeconfig \
    --use-service-account-credentials=true --service-account-private-key-file=$pki/service-accounts.key \
    --root-ca-file=$pki/ca.crt --bind-address=127.0.0.1 --leader-elect=false --cert-dir=$state/controller-manager \
    --flex-volume-plugin-dir=$state/kubelet/volume-plugins
  start kube-scheduler --kubeconfig=$pki/scheduler.kubeconfig \
    --authentication-kubeconfig=$pki/scheduler.kubeconfig --authorization-kubeconfig=$pki/scheduler.kubeconfig \
    --bind-address=127.0.0.1 --leader-elect=false --cert-dir=$state/scheduler
}

bring_up() {
  local folder manifest
  make_room || fail "the node's file system could not be made"
  make_network || fail "the node's network could not be made"
  while read -r folder; do
    [ ! -x "$folder/host-local" ] || ln -s "$folder"/* $state/cni/bin/
    [ ! -d "$folder/crds" ] || ln -s "$folder/crds" $state/crds
  done <"$cache/folders"
  cp "$here/config/10-cluster.conflist" $state/cni/net.d/
  start etcd --name cluster --data-dir $state/etcd --unsafe-no-fsync --log-level warn
  start containerd --config "$here/config/containerd.toml"
  "$here/pki.sh" $state/pki $node $service || fail "the certificates could not be made"
  start_control_plane
  import_images
  start kubelet --config="$here/config/kubelet.yaml" --kubeconfig=$state/pki/kubelet.kubeconfig \
    --hostname-override=lab --node-ip=$node --root-dir=$state/kubelet --cert-dir=$state/kubelet/pki \
    --cgroup-root="/$cgroup"
  for manifest in network-attachment-definitions rbac; do
    kubectl apply -f "$here/../../deploy/$manifest.yaml" >"$log/deploy.log" 2>&1 ||
      fail "deploy/$manifest.yaml was refused: $(tail -n 1 "$log/deploy.log")"
  done
  wait_for "the node's readiness" kubelet kubectl wait --for=condition=Ready --timeout=1s node/lab
  wait_for "the default service account" kube-controller-manager kubectl get serviceaccount default
}

case $2 in
  keep)
    printf '%s %s\n' "$pid" "$(sed 's/.*) //' "/proc/$pid/stat" | cut -d ' ' -f 20)" >"$3"
    bring_up
    : >"$4"
    # Stays, and takes in what others leave behind.
    while :; do
      sleep 3600 &
      wait $!
    done
    ;;
  run)
    bring_up
    cd "$3" || exit
    "${@:4}" &
    wait $!
    ;;
  inside)
    cd "$3" || exit
    exec "${@:4}"
    ;;
esac

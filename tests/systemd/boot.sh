#!/bin/sh
# boot.sh PLACE: boot this machine's own systemd as PID 1 of a throw-away container, and wait for its end.
#
# The container's root is an overlay over the machine's root, its upper layer a tmpfs at PLACE (an existing, empty
# folder): what is installed here is installed there, and nothing that is written there remains. Its namespaces are its
# own, the network too: nothing but loopback. Root and util-linux suffice. What systemd says before it has a journal
# goes to stdout. SIGTERM ends the container at once. `boot.sh --probe` says whether all of this may work here.
set -eu

fail() {
  echo "boot.sh: $*" >&2
  exit 1
}

# Where cgroup v2 is mounted: systemd must be given a subtree of its own.
cgroup_root() {
  awk '$3 == "cgroup2" { print $2; exit }' /proc/self/mounts
}

probe() {
  [ "$(id -u)" = 0 ] || fail "only root can boot a container"
  [ -x /lib/systemd/systemd ] || fail "systemd is not installed"
  [ -n "$(cgroup_root)" ] || fail "cgroup v2 is not mounted"
  [ -w "$(cgroup_root)" ] || fail "cgroup v2 is mounted read-only"
  unshare --mount --pid --fork --cgroup --net --ipc --uts true 2>/dev/null || fail "namespaces are not permitted here"
  grep -qw overlay /proc/filesystems || modprobe overlay 2>/dev/null || fail "the kernel has no overlay file system"
}

outer() {
  cgroup=$(cgroup_root)/klv-jobwatch-test.$$
  mkdir "$cgroup"
  child=
  trap 'kill "$child" 2>/dev/null || true' TERM INT
  # The kernel kills the rest when its PID 1 dies, and unshare kills that one when it dies itself.
  # shellcheck disable=SC2016 # the inner shell expands it
  setpriv --pdeathsig KILL unshare --mount --pid --fork --kill-child \
    sh -c 'echo 0 >"$1/cgroup.procs" && shift && exec unshare --cgroup --net --ipc --uts sh "$@"' sh \
    "$cgroup" "$0" --inside "$1" </dev/null &
  child=$!
  status=0
  wait "$child" || status=$?
  wait "$child" 2>/dev/null || true
  # systemd's own subfolders; empty once the last process is gone, which may take a moment.
  for _ in $(seq 200); do
    find "$cgroup" -depth -type d -exec rmdir {} + 2>/dev/null && break
    sleep 0.05
  done
  # Powering off ends a PID namespace by SIGINT.
  [ "$status" = 130 ] || exit "$status"
}

mount_layers() {
  mount -t tmpfs -o mode=755,size=1g tmpfs "$1"
  mkdir "$1/upper" "$1/work" "$1/root"
  mount -t overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" overlay "$1/root"
}

mount_api_filesystems() {
  mount -t proc proc proc
  mount --bind proc/sys proc/sys
  mount -o remount,bind,ro proc/sys
  mount -t sysfs -o ro sysfs sys
  mount -t cgroup2 cgroup2 sys/fs/cgroup
  mount -t tmpfs -o mode=755 tmpfs run
  mount -t tmpfs -o mode=1777 tmpfs tmp
  mount -t tmpfs -o mode=755 tmpfs dev
  for node in null zero full random urandom tty; do
    touch "dev/$node"
    mount --bind "/dev/$node" "dev/$node"
  done
  mkdir dev/pts dev/shm
  mount -t devpts -o newinstance,ptmxmode=666,mode=620 devpts dev/pts
  mount -t tmpfs -o mode=1777 tmpfs dev/shm
  ln -s pts/ptmx dev/ptmx
  ln -s /proc/self/fd dev/fd
  ln -s null dev/console
}

# Nothing that this machine's owner enabled may start; the journal must survive a restart of journald.
make_quiet() {
  rm -rf etc/systemd/system etc/systemd/journald.conf.d etc/fstab var/log/journal
  mkdir -p etc/systemd/system etc/systemd/journald.conf.d var/log/journal
  rm -f etc/machine-id
  # An image's ways to install packages without starting anything, or without their man pages; and man's index of all
  # pages, which takes seconds and which nobody reads here.
  rm -rf usr/sbin/policy-rc.d etc/dpkg/dpkg.cfg.d var/lib/man-db/auto-update
  echo 7a3c1f0e5b9d4c268e17d0a49bb35f61 >etc/machine-id
  printf '[Journal]\nStorage=persistent\nSystemMaxUse=256M\nAudit=no\nReadKMsg=no\n' >etc/systemd/journald.conf.d/test.conf
  for unit in systemd-networkd.service systemd-networkd.socket systemd-resolved.service systemd-timesyncd.service \
    systemd-pstore.service dev-hugepages.mount dev-mqueue.mount proc-sys-fs-binfmt_misc.automount; do
    ln -s /dev/null "etc/systemd/system/$unit"
  done
}

inside() {
  ip link set lo up
  mount_layers "$1"
  cd "$1/root"
  make_quiet
  mount_api_filesystems
  mkdir run/old
  pivot_root . run/old
  umount -l /run/old
  rmdir /run/old
  # Credentials are mounted by a child of systemd and have to arrive in the service.
  mount --make-rshared /
  exec env -i container=test PATH=/usr/sbin:/usr/bin:/sbin:/bin \
    setpriv --bounding-set -sys_module,-sys_time,-sys_rawio,-sys_boot \
    /lib/systemd/systemd --system systemd.log_color=0 systemd.log_target=journal systemd.unit=basic.target
}

case ${1-} in
  --probe) probe ;;
  --inside) inside "$2" ;;
  "" | -*) fail "usage: boot.sh PLACE" ;;
  *) outer "$1" ;;
esac

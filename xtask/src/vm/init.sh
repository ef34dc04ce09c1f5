#!/bin/busybox sh
# PID 1 of the test machine: mounts what leakwatch needs, runs the steps, reports on the second serial port, powers off.
/bin/busybox mkdir -p /sbin /usr/bin /usr/sbin /dev /proc /sys /run /tmp
/bin/busybox --install -s
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mount -t debugfs debugfs /sys/kernel/debug
mount -t tracefs tracefs /sys/kernel/tracing
mount -t securityfs securityfs /sys/kernel/security
mount -t bpf bpf /sys/fs/bpf
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /tmp
ip link set lo up
export PATH=/bin:/sbin:/usr/bin:/usr/sbin HOME=/tmp TERM=dumb

report() { echo "$*" >/dev/ttyS1; }
step() {
    name=$1
    shift
    echo "== $name: $*"
    "$@"
    report step "$name" $?
}

read -r uptime _ </proc/uptime
report boot "$uptime"
. /steps
report end
poweroff -f

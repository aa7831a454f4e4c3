#!/usr/bin/env bash
# Installs the Debian packages that the development cluster and the tests run, those that are missing only.
# usage: hack/install-packages.sh [GROUP...]   groups: build cluster peers (default: all)
set -euo pipefail

declare -A groups=(
  [build]="gcc libc6-dev libopus-dev"
  [cluster]="containerd runc containernetworking-plugins iptables iproute2 conntrack util-linux dnsmasq-base kamailio ca-certificates"
  [peers]="kamailio kamailio-extra-modules kamailio-outbound-modules kamailio-presence-modules kamailio-tls-modules sip-tester sipsak baresip-core linphone-cli tshark tcpdump prometheus ffmpeg libgsm-tools libbcg729-0 espeak-ng coturn iproute2 nftables conntrack util-linux rtpengine-daemon"
)

missing=()
for group in "${@:-build cluster peers}"; do
  for word in $group; do
    for package in ${groups[$word]:?"no group of packages named $word"}; do
      [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
    done
  done
done
[ ${#missing[@]} -eq 0 ] && exit 0

[ "$(id -u)" = 0 ] || { echo "install these packages first (or run this as root): ${missing[*]}" >&2; exit 1; }
echo "installing: ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# A package must not start its service: the tests and the cluster start what they need themselves.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  trap 'rm -f "$policy"' EXIT
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod +x "$policy"
fi
apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null

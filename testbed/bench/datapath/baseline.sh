#!/bin/bash
# Two cells joined by VXLAN-GBP, each with one container and the least stateful
# flows that judge by group id. Argument: a folder for what is written.
set -euo pipefail
vni=42 zone=7
links() {
	for c in 1 2; do o=$((3 - c))
		cat <<-LINKS
		link add eth0 netns plain-$c type veth peer name plain-$c
		link set plain-$c master underlay up
		link add eth0 netns plain-app-$c type veth peer name app netns plain-$c
		LINKS
	done
}
cell() {
	cat <<-LINKS
	link set lo up
	addr add 172.31.0.20$1/24 dev eth0
	link set eth0 up
	link set app up
	LINKS
}
app() { # MACs and the MTU are as weft-cni makes them
	cat <<-LINKS
	link set lo up
	link set eth0 address ee:ee:0a:fe:00:0$1 mtu 1450 up
	addr add 10.254.0.$1/24 dev eth0
	neigh add 10.254.0.$2 lladdr ee:ee:0a:fe:00:0$2 dev eth0
	LINKS
}
flows() { # 1: this cell, 2: the other
	cat <<-FLOWS
	table=0,in_port=10,ip,actions=ct(table=1,zone=$zone)
	table=1,priority=100,ct_state=+trk+est+rpl,ct_mark=1,in_port=10,ip,actions=set_field:8->tun_gbp_flags,goto_table:3
	table=1,priority=90,in_port=10,ip,actions=ct(commit,zone=$zone),set_field:0->tun_gbp_flags,goto_table:3
	table=3,ip,actions=set_field:$((100 + $1))->tun_gbp_id,set_field:172.31.0.20$2->tun_dst,set_field:$vni->tun_id,output:1
	table=0,in_port=1,tun_id=$vni,tun_src=172.31.0.20$2,ip,actions=move:NXM_NX_TUN_GBP_ID[]->NXM_NX_REG0[0..15],move:NXM_NX_TUN_GBP_FLAGS[]->NXM_NX_REG0[16..23],ct(table=2,zone=$zone)
	table=2,priority=100,ct_state=+trk+est+rpl,reg0=0x80000/0xff0000,ip,actions=output:10
	table=2,priority=90,ct_state=+trk-rpl,reg0=$((100 + $2))/0xffff,ip,actions=ct(commit,zone=$zone,exec(set_field:1->ct_mark)),output:10
	FLOWS
}

for c in 1 2; do ip netns add plain-$c; ip netns add plain-app-$c; done
links | ip -batch -
ovsdb-tool create "$1/conf.db" /usr/share/openvswitch/vswitch.ovsschema
for c in 1 2; do o=$((3 - c)) d=$1/plain-$c
	cell $c | ip -n plain-$c -batch -
	app $c $o | ip -n plain-app-$c -batch -
	mkdir -p "$d"; cp "$1/conf.db" "$d/conf.db"
	in="ip netns exec plain-$c env OVS_RUNDIR=$d"
	$in ovsdb-server "$d/conf.db" --remote="punix:$d/db.sock" --pidfile --log-file="$d/ovsdb.log" -vconsole:off --detach
	ovs-vsctl --db="unix:$d/db.sock" --no-wait init
	$in ovs-vswitchd "unix:$d/db.sock" --pidfile --log-file="$d/vswitchd.log" -vconsole:off --detach
	ovs-vsctl --db="unix:$d/db.sock" add-br br-weft -- set bridge br-weft fail_mode=secure \
		-- add-port br-weft vxlan0 -- set interface vxlan0 ofport_request=1 type=vxlan options:remote_ip=flow options:key=flow options:exts=gbp options:dst_port=4789 \
		-- add-port br-weft app -- set interface app ofport_request=10
	flows $c $o | ovs-ofctl -O OpenFlow14 add-flows "unix:$d/br-weft.mgmt" -
done

package flows

import "github.com/digitalocean/go-openvswitch/ovs"

// Table arp: who has the gateway? We answer; nothing floods.

const arpAnswer = 100

// arp answers requests for the gateway by turning the request around. A
// container's only neighbour is the gateway, so no other request is honest.
func (b *builder) arp() {
	mac, ip := GatewayMAC.String(), GatewayIP.String()
	b.add(stage{TableARP, arpAnswer, BaseCookie(TableARP)},
		arpRequestFor(GatewayIP),
		ovs.Move("NXM_OF_ETH_SRC[]", "NXM_OF_ETH_DST[]"),
		ovs.SetField(mac, "eth_src"),
		ovs.SetField("2", "arp_op"),
		ovs.Move("NXM_NX_ARP_SHA[]", "NXM_NX_ARP_THA[]"),
		ovs.Move("NXM_OF_ARP_SPA[]", "NXM_OF_ARP_TPA[]"),
		ovs.SetField(mac, "arp_sha"),
		ovs.SetField(ip, "arp_spa"),
		backToSender)
}

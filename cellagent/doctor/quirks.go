package doctor

// The features of a network device, as ethtool -k names them, that work on
// what leaves a cell in VXLAN.
const (
	tunnelSegmentation     = "tx-udp_tnl-segmentation"
	tunnelCsumSegmentation = "tx-udp_tnl-csum-segmentation"
	checksumGeneric        = "tx-checksum-ip-generic"
)

// quirkable are those features in the order in which they are shown.
var quirkable = []string{tunnelSegmentation, tunnelCsumSegmentation, checksumGeneric}

// quirk is a driver that is known to break encapsulated packets.
type quirk struct {
	driver   string   // as ethtool -i says it
	features []string // any of them, when it is on
	breaks   string   // for people
}

// quirks has only what somebody has documented, each with its source.
//
// Left out on purpose: tx-checksum-ip-generic of the VXLAN device itself, which
// Flannel (flannel-io/flannel#1279) and Calico (projectcalico/calico#3145)
// switched off. That was a bug of kernels before 5.7 with encapsulated packets
// that are masqueraded; cells need 5.9, ours are not masqueraded, and Calico
// has switched it on again for want of a case (projectcalico/calico#8746).
var quirks = []quirk{
	// Drivers of Linux 5.9 and later have the hypervisor segment and checksum
	// what is inside of VXLAN. It knows the packets by their UDP port, which
	// VMware says is 8472 without NSX and 4789 with it (quoted in
	// projectcalico/calico#4727), and drops the others or those with a wrong
	// checksum: TCP fails while ping works. ESXi 8.0 U2 fails with other ports,
	// too, before U3 (Broadcom's knowledge base, article 432932). Everybody's
	// cure is to switch it off: Cloud Foundry
	// (cloudfoundry/bosh-linux-stemcell-builder#293), OpenShift
	// (openshift/machine-config-operator, 99-vsphere-disable-tx-udp-tnl), Cilium
	// (cilium/cilium#21801), Bottlerocket (bottlerocket-os/bottlerocket#2850).
	// From inside, neither NSX nor ESXi's version can be seen.
	{
		driver:   "vmxnet3",
		features: []string{tunnelSegmentation, tunnelCsumSegmentation},
		breaks:   "some versions of VMware ESXi drop VXLAN whose segmentation is left to them: ping works, and TCP between cells is slow or fails",
	},
}

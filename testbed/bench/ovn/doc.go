// Package ovn builds a scene in OVN and measures it, as fairly as we know how.
// The daemons are Debian's, each private: ovsdb-servers for the northbound, the
// southbound and the switch's database, ovn-northd, ovn-controller and an
// ovs-vswitchd with OVS's dummy datapath, on unix sockets of one folder. All
// other cells are rows of the southbound database that nobody serves.
//
// What suits OVN best was chosen: one logical switch, ovn-monitor-all, ACLs in
// port groups with their address sets, and changes as one transaction over a
// connection that stays open, which raises nb_cfg and waits for hv_cfg: what
// ovn-nbctl --wait=hv does, without its process.
//
// Start reading at Start.
package ovn

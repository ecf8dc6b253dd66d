package ovn

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ovn-kubernetes/libovsdb/ovsdb"

	"github.com/weft-sdn/weft/testbed/bench/gauge"
	"github.com/weft-sdn/weft/testbed/bench/scene"
)

type operation = ovsdb.Operation

// Rows of one transaction: more in one take the server no less time.
const bulk = 2000

// inserted are the UUIDs of what operations inserted.
func inserted(results []ovsdb.OperationResult) []string {
	uuids := make([]string, len(results))
	for i, r := range results {
		uuids[i] = r.UUID.GoUUID
	}
	return uuids
}

// Fill tells OVN the scene and starts what works on it. It returns when the
// switch holds everything, and says how long that took from ovn-controller's
// start.
func (o *OVN) Fill(ctx context.Context, say func(format string, args ...any)) (cold gauge.Spread, err error) {
	for _, step := range []struct {
		what string
		do   func(context.Context) error
	}{
		{"logical ports", o.fillPorts}, {"port groups", o.fillGroups}, {"policies", o.fillPolicies},
		{"ovn-northd has computed the logical flows", func(ctx context.Context) error {
			if err := o.startNorthd(); err != nil {
				return err
			}
			_, err := o.commit(ctx, inSouthbound)
			return err
		}},
		{"other cells", o.fillChassis}, {"the cell's own ports", o.fillInterfaces},
	} {
		if err := step.do(ctx); err != nil {
			return cold, fmt.Errorf("%s: %w", step.what, err)
		}
		say("OVN: %s", step.what)
	}
	begin := time.Now()
	if err := o.startAgent(); err != nil {
		return cold, err
	}
	if err := o.installed(ctx); err != nil {
		return cold, err
	}
	if _, err := o.commit(ctx, inSwitch); err != nil {
		return cold, err
	}
	say("OVN: ovn-controller has filled the switch")
	return gauge.SpreadOf([]time.Duration{time.Since(begin)}), nil
}

// installed waits until ovn-controller says of all of the cell's interfaces that
// their flows are there. Until it has made a row of itself, there is nobody whom
// hv_cfg would wait for.
func (o *OVN) installed(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	flag := ovsdb.NewCondition("external_ids", ovsdb.ConditionIncludes, pairs(map[string]string{"ovn-installed": "true"}))
	return gauge.Poll(ctx, 5*time.Millisecond, func() (bool, error) {
		results, err := o.ovs.transact(ctx, ovsdb.Operation{Op: ovsdb.OperationSelect, Table: "Interface", Where: []ovsdb.Condition{flag}, Columns: []string{"name"}})
		return err == nil && len(results[0].Rows) == o.scene.Local, errors.Join(err, o.alive())
	})
}

// inBulk calls some with slices of n numbers from 0.
func inBulk(n int, some func(from, to int) error) error {
	for from := 0; from < n; from += bulk {
		if err := some(from, min(n, from+bulk)); err != nil {
			return err
		}
	}
	return nil
}

// fillPorts makes a logical port, with port security, for each container.
func (o *OVN) fillPorts(ctx context.Context) error {
	results, err := o.nb.transact(ctx, insert("Logical_Switch", "", ovsdb.Row{"name": "overlay"}))
	if err != nil {
		return err
	}
	o.network = results[0].UUID.GoUUID
	return inBulk(len(o.scene.Containers), func(from, to int) error {
		var ops []operation
		var names []string
		for i := from; i < to; i++ {
			name := fmt.Sprintf("p%d", i)
			names = append(names, name)
			ops = append(ops, insert("Logical_Switch_Port", name, o.port(i)))
		}
		results, err := o.nb.transact(ctx, append(ops, add("Logical_Switch", byUUID(o.network), "ports", names...))...)
		if err == nil {
			o.ports = append(o.ports, inserted(results[:len(ops)])...)
		}
		return err
	})
}

// port is the row of a container's logical port, of any number.
func (o *OVN) port(i int) ovsdb.Row {
	n := i + 256 // leaves out the first addresses
	address := fmt.Sprintf("0a:00:%02x:%02x:%02x:%02x 10.%d.%d.%d", i>>24&255, i>>16&255, i>>8&255, i&255, 128+n>>16, n>>8&255, n&255)
	return ovsdb.Row{"name": logical(i), "addresses": address, "port_security": address}
}

func logical(container int) string { return fmt.Sprintf("c%d", container) }

// fillGroups makes a port group for each app, into which nobody may connect.
func (o *OVN) fillGroups(ctx context.Context) error {
	members := make([][]string, o.scene.Size.Apps)
	for i, c := range o.scene.Containers {
		members[c.App] = append(members[c.App], o.ports[i])
	}
	return inBulk(len(members), func(from, to int) error {
		var ops []operation
		for app := from; app < to; app++ {
			drop := fmt.Sprintf("d%d", app)
			ops = append(ops,
				insert("ACL", drop, ovsdb.Row{"direction": "to-lport", "priority": 1000, "match": fmt.Sprintf("outport == @pg_%d && ip", app), "action": "drop"}),
				insert("Port_Group", "", ovsdb.Row{"name": fmt.Sprintf("pg_%d", app), "ports": set(members[app]...), "acls": ref(drop)}))
		}
		results, err := o.nb.transact(ctx, ops...)
		if err == nil {
			for group := range slices.Chunk(inserted(results[:len(ops)]), 2) {
				o.groups = append(o.groups, group[1])
			}
		}
		return err
	})
}

// fillPolicies makes an ACL of each policy.
func (o *OVN) fillPolicies(ctx context.Context) error {
	return inBulk(len(o.scene.Policies), func(from, to int) error {
		var ops []operation
		of := map[int][]string{} // ACLs by destination app
		for i := from; i < to; i++ {
			p, name := o.scene.Policies[i], fmt.Sprintf("a%d", i)
			of[p.To] = append(of[p.To], name)
			ops = append(ops, insert("ACL", name, allow(p)))
		}
		for app, names := range of {
			ops = append(ops, add("Port_Group", byUUID(o.groups[app]), "acls", names...))
		}
		_, err := o.nb.transact(ctx, ops...)
		return err
	})
}

// allow is the ACL of a policy.
func allow(p scene.Policy) ovsdb.Row {
	match := fmt.Sprintf("outport == @pg_%d && ip4.src == $pg_%d_ip4 && tcp.dst == %d", p.To, p.From, p.Port)
	return ovsdb.Row{"direction": "to-lport", "priority": 1001, "match": match, "action": "allow-related"}
}

// fillChassis makes rows of the other cells, which nobody serves, and binds
// their containers' ports to them.
func (o *OVN) fillChassis(ctx context.Context) error {
	var ops []operation
	for cell := 1; cell < o.scene.Cells; cell++ {
		id, encap := scene.CellID(cell), fmt.Sprintf("e%d", cell)
		ops = append(ops,
			insert("Encap", encap, ovsdb.Row{"type": "geneve", "ip": fmt.Sprintf("172.31.%d.%d", cell>>8, cell&255), "chassis_name": id, "options": pairs(map[string]string{"csum": "true"})}),
			insert("Chassis", "", ovsdb.Row{"name": id, "hostname": id, "encaps": ref(encap)}))
	}
	results, err := o.sb.transact(ctx, ops...)
	if err != nil {
		return err
	}
	for pair := range slices.Chunk(inserted(results[:len(ops)]), 2) {
		o.chassis = append(o.chassis, pair[1])
	}
	var binds []operation
	for i, c := range o.scene.Containers {
		if c.Cell != 0 {
			binds = append(binds, o.bind(i, c.Cell))
		}
	}
	err = inBulk(len(binds), func(from, to int) error {
		results, err := o.sb.transact(ctx, binds[from:to]...)
		for _, r := range results {
			if err == nil && r.Count != 1 {
				err = fmt.Errorf("bound %d ports, want 1", r.Count)
			}
		}
		return err
	})
	if err != nil {
		return err
	}
	_, err = o.commit(ctx, inSouthbound)
	return err
}

// bind says that a container's port is on a cell that is not real.
func (o *OVN) bind(container, cell int) operation {
	return update("Port_Binding", by("logical_port", logical(container)), ovsdb.Row{"chassis": ref(o.chassis[cell-1]), "up": true})
}

// interfaces of one transaction: ovs-vswitchd makes their devices one by one.
const interfacesAtOnce = 50

// fillInterfaces plugs the measured cell's containers in.
func (o *OVN) fillInterfaces(ctx context.Context) error {
	var local []int
	for i, c := range o.scene.Containers {
		if c.Cell == 0 {
			local = append(local, i)
		}
	}
	for some := range slices.Chunk(local, interfacesAtOnce) {
		var ops []operation
		for _, i := range some {
			device, iface, port := fmt.Sprintf("v%d", i), fmt.Sprintf("i%d", i), fmt.Sprintf("t%d", i)
			ops = append(ops,
				insert("Interface", iface, ovsdb.Row{"name": device, "type": "internal", "external_ids": pairs(map[string]string{"iface-id": logical(i)})}),
				insert("Port", port, ovsdb.Row{"name": device, "interfaces": ref(iface)}),
				add("Bridge", by("name", bridge), "ports", port))
		}
		if _, err := o.ovs.transact(ctx, append(ops, raise("Open_vSwitch", "next_cfg"))...); err != nil {
			return err
		}
	}
	return nil
}

package conntrack

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"

	"github.com/mdlayher/netlink"
	ctnetlink "github.com/ti-mo/conntrack"
	"github.com/ti-mo/netfilter"
	"golang.org/x/sys/unix"

	"github.com/weft-sdn/weft/flows"
)

// Entry is a connection as it was opened.
type Entry struct {
	Source, Destination netip.Addr
	Protocol            flows.Protocol
	Port                uint16         // destination port; 0 for protocols without
	Answerer            netip.AddrPort // who answers: the destination, unless it was translated
	Mark                uint32         // ct mark
	ByPolicy            bool           // this cell judged it, by policy
	From, To            flows.GroupID  // of a judged one: the opener's and the server's
}

// Translated reports whether the connection leads elsewhere than its opener
// thinks.
func (e Entry) Translated() bool { return e.Answerer.Addr() != e.Destination }

// HostZone is where the connections are tracked that the host routes. It has
// those of the overlay's only with what is outside.
const HostZone = 0

// Selection says which entries of one zone to look at, so that the kernel need
// not hand out all of them. Zero fields but Zone mean any.
type Selection struct {
	Zone                uint16
	Source, Destination netip.Addr
	Answerer            netip.Addr
	Protocol            flows.Protocol
	Port                uint16 // only with Protocol
	ByPolicy            bool
}

// What the mark of an entry says that policy judged here: the register judged
// of package flows.
var judgedMask, judgedByPolicy = func() (mask, value uint32) {
	for _, r := range flows.Registers() {
		for _, v := range r.Values {
			if r.Name == "judged" && v.Name == "policy" {
				return uint32(uint64(1)<<(r.High+1) - 1<<r.Low), v.Number << r.Low
			}
		}
	}
	panic("flows has no register judged with a value policy")
}()

// Supported reports whether this kernel has OVS's datapath, so that its
// tracker has connections of the overlay.
func Supported() bool {
	_, err := os.Stat("/sys/module/openvswitch")
	return err == nil
}

// Zone is an open connection to the tracker. It has one user.
type Zone struct {
	ask   *netfilter.Conn
	erase *ctnetlink.Conn
}

// Open connects to the tracker; it takes CAP_NET_ADMIN.
func Open() (*Zone, error) {
	ask, err := netfilter.Dial(nil)
	if err != nil {
		return nil, fmt.Errorf("conntrack: %w", err)
	}
	erase, err := ctnetlink.Dial(nil)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("conntrack: %w", err), ask.Close())
	}
	return &Zone{ask: ask, erase: erase}, nil
}

// Close ends the connection.
func (z *Zone) Close() error { return errors.Join(z.ask.Close(), z.erase.Close()) }

// List returns the selected entries. What cannot be read of somebody's unusual
// entry is an error beside the others.
func (z *Zone) List(from Selection) ([]Entry, error) {
	var all []Entry
	err := z.each(from, func(f *ctnetlink.Flow) error {
		all = append(all, entryOf(f))
		return nil
	})
	return all, err
}

// Delete deletes the selected entries that are doomed, and returns how many. An
// entry that goes meanwhile is none of them. On an error some may be left.
func (z *Zone) Delete(from Selection, doomed func(Entry) bool) (deleted int, err error) {
	err = z.each(from, func(f *ctnetlink.Flow) error {
		if !doomed(entryOf(f)) {
			return nil
		}
		err := z.erase.Delete(ctnetlink.Flow{ID: f.ID, Zone: f.Zone, TupleOrig: f.TupleOrig, TupleReply: f.TupleReply})
		if err != nil && !errors.Is(err, unix.ENOENT) {
			return fmt.Errorf("conntrack: delete: %w", err)
		}
		if err == nil {
			deleted++
		}
		return nil
	})
	return deleted, err
}

// each calls do with every selected entry, until it fails.
func (z *Zone) each(from Selection, do func(*ctnetlink.Flow) error) error {
	request, err := from.request()
	if err != nil {
		return err
	}
	answers, err := z.ask.Query(request)
	if err != nil {
		return fmt.Errorf("conntrack: list: %w", err)
	}
	var unread error // somebody's unusual entry must not keep the others
	for _, answer := range answers {
		var decoded ctnetlink.Event
		if err := decoded.Unmarshal(answer); err != nil {
			unread = fmt.Errorf("conntrack: list: %w", err)
			continue
		}
		// Kernels before 6.8 list all zones.
		if f := decoded.Flow; f != nil && f.Zone == from.Zone && from.Selects(entryOf(f)) {
			if err := do(f); err != nil {
				return err
			}
		}
	}
	return unread
}

func entryOf(f *ctnetlink.Flow) Entry {
	e := Entry{
		Source: f.TupleOrig.IP.SourceAddress, Destination: f.TupleOrig.IP.DestinationAddress,
		Protocol: flows.Protocol(f.TupleOrig.Proto.Protocol), Port: f.TupleOrig.Proto.DestinationPort,
		Answerer: netip.AddrPortFrom(f.TupleReply.IP.SourceAddress, f.TupleReply.Proto.SourcePort),
		Mark:     f.Mark,
		ByPolicy: f.Mark&judgedMask == judgedByPolicy,
	}
	if len(f.Labels) >= 4 {
		// The kernel's words of labels are in the byte order of the machine.
		word := binary.NativeEndian.Uint32(f.Labels)
		e.From, e.To = flows.GroupID(word), flows.GroupID(word>>16)
	}
	return e
}

// Selects reports whether the entry is one of them. Kernels that are too old to
// select leave it to us.
func (s Selection) Selects(e Entry) bool {
	return (!s.Source.IsValid() || s.Source == e.Source) && (!s.Destination.IsValid() || s.Destination == e.Destination) &&
		(!s.Answerer.IsValid() || s.Answerer == e.Answerer.Addr()) &&
		(s.Protocol == 0 || s.Protocol == e.Protocol) && (s.Port == 0 || s.Port == e.Port) && (!s.ByPolicy || e.ByPolicy)
}

// Attributes of ctnetlink, of linux/netfilter/nfnetlink_conntrack.h.
const (
	ctTupleOrig, ctTupleReply, ctMark, ctZone, ctMarkMask, ctFilter = 1, 2, 8, 18, 21, 25

	tupleIP, tupleProto         = 1, 2
	ipSource, ipDestination     = 1, 2
	protoNumber, protoPort      = 1, 3
	filterOriginal, filterReply = 1, 2

	bySource, byDestination, byProtocol, byPort = 1 << 0, 1 << 1, 1 << 3, 1 << 5
)

// request asks the kernel for the selected entries. Fields of the tuple are
// matched since Linux 5.8; older ones list more.
func (s Selection) request() (netlink.Message, error) {
	attributes := []netfilter.Attribute{{Type: ctZone, Data: netfilter.Uint16Bytes(s.Zone)}}
	if s.ByPolicy {
		attributes = append(attributes,
			netfilter.Attribute{Type: ctMark, Data: netfilter.Uint32Bytes(judgedByPolicy)},
			netfilter.Attribute{Type: ctMarkMask, Data: netfilter.Uint32Bytes(judgedMask)})
	}
	var by uint32
	var ip, proto []netfilter.Attribute
	if s.Source.IsValid() {
		by |= bySource
		ip = append(ip, netfilter.Attribute{Type: ipSource, Data: s.Source.AsSlice()})
	}
	if s.Destination.IsValid() {
		by |= byDestination
		ip = append(ip, netfilter.Attribute{Type: ipDestination, Data: s.Destination.AsSlice()})
	}
	if s.Protocol != 0 {
		by |= byProtocol
		proto = append(proto, netfilter.Attribute{Type: protoNumber, Data: []byte{byte(s.Protocol)}})
	}
	if s.Port != 0 {
		by |= byPort
		proto = append(proto, netfilter.Attribute{Type: protoPort, Data: netfilter.Uint16Bytes(s.Port)})
	}
	var filter []netfilter.Attribute
	match := func(tuple, flags uint16, by uint32, parts ...netfilter.Attribute) {
		parts = slices.DeleteFunc(parts, func(a netfilter.Attribute) bool { return len(a.Children) == 0 })
		attributes = append(attributes, netfilter.Attribute{Type: tuple, Nested: true, Children: parts})
		filter = append(filter, netfilter.Attribute{Type: flags, Data: binary.NativeEndian.AppendUint32(nil, by)})
	}
	if by != 0 {
		match(ctTupleOrig, filterOriginal, by,
			netfilter.Attribute{Type: tupleIP, Nested: true, Children: ip}, netfilter.Attribute{Type: tupleProto, Nested: true, Children: proto})
	}
	if s.Answerer.IsValid() {
		source := netfilter.Attribute{Type: ipSource, Data: s.Answerer.AsSlice()}
		match(ctTupleReply, filterReply, bySource, netfilter.Attribute{Type: tupleIP, Nested: true, Children: []netfilter.Attribute{source}})
	}
	if len(filter) > 0 {
		attributes = append(attributes, netfilter.Attribute{Type: ctFilter, Nested: true, Children: filter})
	}
	return netfilter.MarshalNetlink(netfilter.Header{
		SubsystemID: netfilter.NFSubsysCTNetlink, MessageType: 1, // get
		Family: netfilter.ProtoIPv4, Flags: netlink.Request | netlink.Dump,
	}, slices.Clip(attributes))
}

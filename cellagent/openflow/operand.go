package openflow

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
	"strconv"
	"strings"
)

// operand is a value of a field, or with a mask some bits of one.
type operand struct {
	field       *field
	value, mask bits128
	masked      bool // mask counts
}

// bits128 holds a value of any field, in its low bits.
type bits128 struct{ high, low uint64 }

// reader reads a value as text has it, and its mask. It reports whether it could.
type reader func(text string, o *operand) bool

// readOperand reads a value of f. It takes none that does not fit the field, has
// bits outside of its mask, or a mask of nothing: the switch would not print them
// so.
func readOperand(f *field, text string) (operand, bool) {
	o := operand{field: f}
	if !f.read(text, &o) || !o.value.fits(f.bits) || !o.mask.fits(f.bits) {
		return o, false
	}
	return o, !o.masked || o.mask != bits128{} && o.value.high&^o.mask.high == 0 && o.value.low&^o.mask.low == 0
}

// append writes the operand as a TLV, as matches and set_field have it.
func (o *operand) append(b []byte) []byte {
	size := o.field.bytes()
	if !o.masked {
		return o.value.append(o.field.oxm.append(b, false, size), size)
	}
	b = o.field.oxm.append(b, true, 2*size)
	return o.mask.append(o.value.append(b, size), size)
}

func (v bits128) append(b []byte, size int) []byte {
	var all [16]byte
	binary.BigEndian.PutUint64(all[:8], v.high)
	binary.BigEndian.PutUint64(all[8:], v.low)
	return append(b, all[len(all)-size:]...)
}

func (v bits128) fits(n int) bool {
	width := bits.Len64(v.low)
	if v.high != 0 {
		width = 64 + bits.Len64(v.high)
	}
	return width <= n
}

// number reads 80, 0x50 and 0x50/0xf0.
func number(text string, o *operand) (ok bool) {
	value, mask, masked := strings.Cut(text, "/")
	if o.value, ok = readNumber(value); !ok || !masked {
		return ok
	}
	o.masked = true
	o.mask, ok = readNumber(mask)
	return ok
}

// vlan reads 0x1000/0x1000, which OpenFlow since 1.2 calls VLAN_VID. Without a
// mask it would be about the tag's priority too, which is another field there.
func vlan(text string, o *operand) bool {
	if !number(text, o) || !o.masked {
		return false
	}
	o.masked = o.mask != bits128{low: 0x1fff} // all of it
	return true
}

// readNumber reads a number as OVS prints it. It takes no leading zeros: what
// means 8 to us, C would take for octal.
func readNumber(text string) (v bits128, ok bool) {
	digits, hex := strings.CutPrefix(text, "0x")
	if !hex {
		v.low, ok = readUint(text, 10)
		return v, ok && (text == "0" || text[0] != '0')
	}
	if split := len(digits) - 16; split > 0 {
		if v.high, ok = readUint(digits[:split], 16); !ok {
			return v, false
		}
		digits = digits[split:]
	}
	v.low, ok = readUint(digits, 16)
	return v, ok
}

func readUint(digits string, base int) (uint64, bool) {
	n, err := strconv.ParseUint(digits, base, 64)
	return n, err == nil
}

// port reads a number, or LOCAL: OpenFlow since 1.1 has 32 bits for ports, and
// the last 256 numbers of 16 bits, which OVS reserves, are the last there.
func port(text string, o *operand) (ok bool) {
	o.value.low, ok = readPort(text)
	return ok
}

const (
	portInPort = 0xfffffff8
	portLocal  = 0xfffffffe
	maxPort    = 0xfeff
)

func readPort(text string) (uint64, bool) {
	if text == "LOCAL" {
		return portLocal, true
	}
	v, ok := readNumber(text)
	return v.low, ok && v.high == 0 && v.low <= maxPort
}

// address reads 10.0.0.1, 10.0.0.0/8 and 10.0.0.0/255.0.255.0.
func address(text string, o *operand) (ok bool) {
	value, mask, masked := strings.Cut(text, "/")
	if o.value.low, ok = readIPv4(value); !ok || !masked {
		return ok
	}
	o.masked = true
	if strings.Contains(mask, ".") {
		o.mask.low, ok = readIPv4(mask)
		return ok
	}
	n, ok := readNumber(mask)
	if !ok || n.high != 0 || n.low > 32 {
		return false
	}
	o.mask.low = uint64(^uint32(0)) &^ (1<<(32-n.low) - 1)
	return true
}

func readIPv4(text string) (uint64, bool) {
	a, err := netip.ParseAddr(text)
	if err != nil || !a.Is4() {
		return 0, false
	}
	b := a.As4()
	return uint64(binary.BigEndian.Uint32(b[:])), true
}

// mac reads ee:ee:0a:ff:01:02, and with a mask of the same form.
func mac(text string, o *operand) (ok bool) {
	value, mask, masked := strings.Cut(text, "/")
	if o.value.low, ok = readMAC(value); !ok || !masked {
		return ok
	}
	o.masked = true
	o.mask.low, ok = readMAC(mask)
	return ok
}

func readMAC(text string) (v uint64, ok bool) {
	if len(text) != len("ee:ee:0a:ff:01:02") {
		return 0, false
	}
	for i := 0; i < len(text); i += 3 {
		if i > 0 && text[i-1] != ':' {
			return 0, false
		}
		n, ok := readUint(text[i:i+2], 16)
		if !ok {
			return 0, false
		}
		v = v<<8 | n
	}
	return v, true
}

// Flags by their bits, from the lowest.
var (
	trackerStates = []string{"new", "est", "rel", "rpl", "inv", "trk", "snat", "dnat"}
	tcpFlags      = []string{"fin", "syn", "rst", "psh", "ack", "urg", "ece", "cwr", "ns"}
)

// flags reads +new-rel+trk: those that are set and those that are not; others
// are not asked about.
func flags(names []string) reader {
	return func(text string, o *operand) bool {
		o.masked = true
		for text != "" {
			end := 1 + strings.IndexAny(text[1:]+"+", "+-")
			bit, ok := flagBit(names, text[1:end])
			if !ok || o.mask.low&bit != 0 {
				return false
			}
			switch text[0] {
			case '+':
				o.value.low |= bit
			case '-':
			default:
				return false
			}
			o.mask.low |= bit
			text = text[end:]
		}
		return o.mask.low != 0
	}
}

func flagBit(names []string, name string) (uint64, bool) {
	for i, n := range names {
		if n == name {
			return 1 << i, true
		}
	}
	return 0, false
}

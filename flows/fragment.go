package flows

import (
	"cmp"
	"crypto/sha256"
	hexadecimal "encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// FragmentKey names the object that a fragment is compiled from: "base",
// "endpoint/<container>", "cell/<cell>", "policy/<group id>" or
// "egress/<profile>".
type FragmentKey string

// BaseKey is the key of the part that depends on the cell itself only.
func BaseKey() FragmentKey { return "base" }

// EndpointKey is the key of a local container's fragment.
func EndpointKey(container string) FragmentKey { return FragmentKey("endpoint/" + container) }

// PeerKey is the key of another cell's fragment.
func PeerKey(cell CellID) FragmentKey { return FragmentKey("cell/" + cell) }

// PolicyKey is the key of the fragment with all rules towards group.
func PolicyKey(group GroupID) FragmentKey {
	return FragmentKey("policy/" + strconv.FormatUint(uint64(group), 10))
}

// EgressKey is the key of the fragment of one set of egress rules.
func EgressKey(rules EgressRules) FragmentKey {
	return FragmentKey("egress/" + rules.Profile().String())
}

// Container returns the container of an endpoint's key.
func (k FragmentKey) Container() (string, bool) {
	return strings.CutPrefix(string(k), "endpoint/")
}

// Group returns the destination of a policy fragment's key.
func (k FragmentKey) Group() (GroupID, bool) {
	text, is := strings.CutPrefix(string(k), "policy/")
	group, err := strconv.ParseUint(text, 10, 16)
	return GroupID(group), is && err == nil
}

// Fragment is the part of a table that one object causes. It is a pure
// function of that object, so equal objects have equal hashes on every cell.
// The zero value is no fragment. Fragments are values: never change Flows.
type Fragment struct {
	Key   FragmentKey
	Flows []Flow // in the order of Table
	Hash  Hash   // of key and flows
}

// NewFragment sorts flows in place and hashes them. It keeps the slice.
func NewFragment(key FragmentKey, flows []Flow) Fragment {
	slices.SortFunc(flows, compareFlows)
	return Fragment{Key: key, Flows: flows, Hash: hashOf(key, flows)}
}

// Hash is a content hash: the first 128 bits of SHA-256.
type Hash [16]byte

// String returns 32 hex digits.
func (h Hash) String() string { return hexadecimal.EncodeToString(h[:]) }

// ParseHash is the inverse of String.
func ParseHash(s string) (Hash, error) {
	var h Hash
	if b, err := hexadecimal.DecodeString(s); err != nil || copy(h[:], b) != len(h) || len(b) != len(h) {
		return Hash{}, fmt.Errorf("hash %q: must be %d hex digits", s, 2*len(h))
	}
	return h, nil
}

// Xor replaces a part of a table's hash: h.Xor(old).Xor(new).
func (h Hash) Xor(other Hash) Hash {
	for i := range h {
		h[i] ^= other[i]
	}
	return h
}

// TableHash is the hash of a whole table: all its fragments' hashes, xored.
// Each covers its key, so the same flows under two keys do not cancel out, and
// a change of one fragment changes the sum in constant time. It finds
// divergence, not malice: agents trust the controller's certificate for that.
func TableHash(fragments []Fragment) Hash {
	var sum Hash
	for _, f := range fragments {
		sum = sum.Xor(f.Hash)
	}
	return sum
}

// hashOf covers every byte of the text that travels, with separators that
// occur in none of it.
func hashOf(key FragmentKey, flows []Flow) Hash {
	text := make([]byte, 0, len(key)+1+len(flows)*160)
	text = append(append(text, key...), 0)
	for _, f := range flows {
		text = append(f.appendText(text), 0)
	}
	sum := sha256.Sum256(text)
	return Hash(sum[:len(Hash{})])
}

func compareFragments(a, b Fragment) int { return cmp.Compare(a.Key, b.Key) }

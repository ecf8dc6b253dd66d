package fleet

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/flows"
)

// plainly decodes a message as the real agent does, and leaves the flows out.
func plainly(t *testing.T, line string, names *names) message {
	t.Helper()
	var wire api.Message
	if err := json.Unmarshal([]byte(line), &wire); err != nil {
		t.Fatal(err)
	}
	m := message{kind: wire.Type, stream: wire.Stream, seq: wire.Seq, revision: wire.Revision, hash: wire.Hash, same: wire.Same}
	for _, f := range wire.Set {
		hash, err := flows.ParseHash(f.Hash)
		if err != nil {
			t.Fatal(err)
		}
		m.set = append(m.set, part{names.name([]byte(f.Key)), hash})
	}
	for _, p := range wire.Patch {
		hash, err := flows.ParseHash(p.Hash)
		if err != nil {
			t.Fatal(err)
		}
		m.set = append(m.set, part{names.name([]byte(p.Key)), hash})
	}
	for _, key := range wire.Remove {
		m.remove = append(m.remove, names.name([]byte(key)))
	}
	if wire.Refused != nil {
		m.refused = len(*wire.Refused)
	}
	return m
}

// awkward are texts that a decoder might stumble over; some are longer than its
// buffer.
func awkward(random *rand.Rand) string {
	pieces := []string{`\`, `"`, `\\`, `\"`, "[", "}", ",", "é", "<", "\u2028", "plain", " ", strings.Repeat("x", 4095), strings.Repeat(`\`, 4096)}
	var text strings.Builder
	for range random.IntN(6) {
		text.WriteString(pieces[random.IntN(len(pieces))])
	}
	return text.String()
}

func someMessage(random *rand.Rand, seq uint64) api.Message {
	hash := func() string { return flows.Hash{byte(random.Int()), 15: byte(random.Int())}.String() }
	m := api.Message{Type: api.TypeDelta, Stream: awkward(random), Seq: seq, Revision: random.Uint64(), Hash: hash(), Same: random.IntN(2) == 0}
	for range random.IntN(4) {
		f := api.Fragment{Key: awkward(random), Hash: hash(), Flows: flows.Table{}}
		for range random.IntN(4) {
			f.Flows = append(f.Flows, flows.Flow{Match: awkward(random), Actions: "drop"})
		}
		m.Set = append(m.Set, f)
	}
	for range random.IntN(3) {
		m.Patch = append(m.Patch, api.Patch{Key: awkward(random), Hash: hash(), Add: flows.Table{{Match: awkward(random), Actions: "drop"}}})
	}
	for range random.IntN(3) {
		m.Remove = append(m.Remove, awkward(random))
	}
	if random.IntN(2) == 0 {
		m.Refused = &[]api.Refusal{{Container: awkward(random), Reason: awkward(random)}}
		m.Draining = new(random.IntN(2) == 0)
	}
	return m
}

// TestReaderReadsWhatTheAgentDoes: whatever the texts, wherever the stream is cut.
func TestReaderReadsWhatTheAgentDoes(t *testing.T) {
	const messages = 200
	random := rand.New(rand.NewPCG(1, 2))
	var lines strings.Builder
	var want []message
	names := newNames()
	for seq := range uint64(messages) {
		text, err := json.Marshal(someMessage(random, seq))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&lines, "%s\n{\"type\":\"ping\",\"revision\":0}\n", text)
		want = append(want, plainly(t, string(text), names))
	}
	for what, r := range map[string]*reader{
		"whole":         newReader(strings.NewReader(lines.String()), names),
		"byte by byte":  newReader(iotest.OneByteReader(strings.NewReader(lines.String())), names),
		"half the time": newReader(iotest.HalfReader(strings.NewReader(lines.String())), names),
	} {
		for i := range want {
			if got, err := r.next(); err != nil || !reflect.DeepEqual(got, want[i]) {
				t.Fatalf("%s: message %d: got %+v, %v; want %+v", what, i, got, err, want[i])
			}
		}
		if m, err := r.next(); err == nil {
			t.Errorf("%s: after the last message there is %+v", what, m)
		}
	}
}

// TestReaderRefuses what is cut or malformed, instead of waiting or guessing.
func TestReaderRefuses(t *testing.T) {
	for _, line := range []string{``, `{`, `{"type"`, `{"type":"delta","seq":`, `{"type":"delta"`, `[]`, `{"seq":"1"}`, `{"seq":-1}`,
		`{"set":[{"key":"base","hash":"12"}]}`, `{"set":[{"key":"a\q","hash":"00000000000000000000000000000000"}]}`, `{"remove":[1]}`, `{"type":"delta" "seq":1}`} {
		if m, err := newReader(strings.NewReader(line), newNames()).next(); err == nil {
			t.Errorf("%s was read as %+v", line, m)
		}
	}
}

// TestTableStep: what the hash of the whole does not confirm changes nothing.
func TestTableStep(t *testing.T) {
	one, two := flows.Hash{1}, flows.Hash{2}
	var now table
	step := func(m message, wrong bool) {
		t.Helper()
		before := now
		if err := now.step(m); (err != nil) != wrong || wrong && !reflect.DeepEqual(now, before) {
			t.Errorf("%+v: %v; the table is %+v", m, err, now)
		}
	}
	step(message{kind: api.TypeDelta, set: []part{{1, one}}, hash: one.String()}, true)
	step(message{kind: api.TypeSnapshot, set: []part{{1, one}, {2, two}}, hash: one.String()}, true)
	step(message{kind: api.TypeSnapshot, set: []part{{1, one}, {2, two}}, hash: one.Xor(two).String()}, false)
	step(message{kind: api.TypeDelta, remove: []name{2}, set: []part{{3, two}}, hash: one.String()}, true)
	step(message{kind: api.TypeDelta, remove: []name{2, 9}, set: []part{{1, two}}, hash: two.String()}, false)
	step(message{kind: "other", hash: two.String()}, true)
	step(message{kind: api.TypeSnapshot, hash: flows.Hash{}.String()}, false)
	if now.parts == nil || len(now.parts) != 0 {
		t.Errorf("the table is %+v", now)
	}
}

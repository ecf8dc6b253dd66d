package openflow

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os/exec"
	"strings"
	"testing"
)

// FuzzReplies: nothing that a switch could send makes the reader panic or wait,
// nor take for an answer what is none.
func FuzzReplies(f *testing.F) {
	f.Add(appendMessage(nil, kindError, 17, 0, 4, 0, 9))
	f.Add(appendMessage(nil, kindError, 17, 0xff, 0xff, 0, 42, 0, 0, 0x23, 0x20))
	f.Add(appendBundleControl(nil, bundleCommit+1, 16, 19))
	f.Add(appendMessage(appendMessage(nil, kindHello, 1), kindEchoRequest, 2, 'x'))
	f.Fuzz(func(t *testing.T, data []byte) {
		b := &bundle{id: xidFirst, add: plain(2), refused: make(chan refusal, 1), answers: make(chan message, 4)}
		in := bytes.NewReader(data)
		for {
			before := in.Len()
			m, err := readMessage(in)
			if err != nil {
				break
			}
			if read := before - in.Len(); read != headerSize+len(m.body) {
				t.Fatalf("took %d bytes for a message of %d", read, headerSize+len(m.body))
			}
			_, _ = m.String(), errorOf(m).String()
			if reply, id, err := m.bundleReply(); err == nil && (m.kind != kindBundleControl || len(m.body) < 8) {
				t.Fatalf("%v is reply %d to bundle %d", m, reply, id)
			}
			if b.take(m) && (m.xid < b.id || m.xid > b.ending()) {
				t.Fatalf("%v was taken", m)
			}
		}
		if refused := b.refusal(); refused != nil && !strings.Contains(refused.Error(), "table=policy") {
			t.Fatal(refused)
		}
	})
}

// TestErrorsHaveTheNamesOfOVS: those of ovs-ofctl, for each number that we know.
func TestErrorsHaveTheNamesOfOVS(t *testing.T) {
	var known []errorCode
	for kind, names := range errorNames {
		for code := range names {
			known = append(known, errorCode{kind: kind, code: uint16(code)})
		}
	}
	for code := range niciraErrors {
		known = append(known, errorCode{experimenter: nicira, kind: errorOfExperimenter, code: code})
	}
	for _, e := range known {
		body := binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(nil, e.kind), e.code)
		if e.experimenter != 0 {
			body = binary.BigEndian.AppendUint32(body, e.experimenter)
		}
		out, err := exec.Command("ovs-ofctl", "ofp-print", fmt.Sprintf("%x", appendMessage(nil, kindError, 1, body...))).Output()
		if err != nil {
			t.Fatal(err)
		}
		if first, _, _ := strings.Cut(string(out), "\n"); !strings.HasSuffix(first, ": "+e.String()) {
			t.Errorf("error %+v is %v here, and in OVS: %s", e, e, first)
		}
	}
	for want, m := range map[string]message{
		"OpenFlow error of type 4, code 77":           {kind: kindError, body: []byte{0, 4, 0, 77}},
		"OpenFlow error 7 of experimenter 0x4f4e4600": {kind: kindError, body: []byte{0xff, 0xff, 0, 7, 0x4f, 0x4e, 0x46, 0}},
		"OFPHFC_INCOMPATIBLE":                         {kind: kindError},
	} {
		if got := m.String(); got != want {
			t.Errorf("%x is %q, want %q", m.body, got, want)
		}
	}
}

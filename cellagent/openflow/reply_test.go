package openflow

import (
	"encoding/binary"
	"errors"
	"net"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weft-sdn/weft/flows"
)

// told is a flow as a reply has it, with its statistics.
func told(t testing.TB, f flows.Flow) []byte {
	t.Helper()
	mod, err := appendFlowMod(nil, commandAdd, f, 1)
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, flowSize, flowSize+len(mod))
	b[2] = uint8(f.Table)
	binary.BigEndian.PutUint32(b[4:], 77) // its age, s
	binary.BigEndian.PutUint16(b[12:], f.Priority)
	binary.BigEndian.PutUint64(b[24:], uint64(f.Cookie))
	binary.BigEndian.PutUint64(b[32:], 12345) // packets
	b = append(b, mod[headerSize+40:]...)
	binary.BigEndian.PutUint16(b, uint16(len(b)))
	return b
}

// answering is a connection to a switch that answers a question for its flows with
// the messages that answers makes for the question's transaction.
func (r *rig) answering(answers func(xid uint32) []byte) *Conn {
	r.t.Helper()
	line := r.line(func(m message, client net.Conn) bool {
		if m.kind != kindMultipartRequest {
			return true
		}
		if _, err := client.Write(answers(m.xid)); err != nil {
			r.t.Log(err) // the connection may have ended at an earlier message
		}
		return false
	})
	return r.dialBy(line.socket, usual)
}

// reply is a message with flows; flags as in multipartMore.
func reply(xid uint32, flags byte, all ...[]byte) []byte {
	body := append([]byte{0, multipartFlow, 0, flags, 0, 0, 0, 0}, slices.Concat(all...)...)
	return appendMessage(nil, kindMultipartReply, xid, body...)
}

// TestRepliesThatTellAnotherTable: each flow once, none more, none less.
func TestRepliesThatTellAnotherTable(t *testing.T) {
	r := newRig(t)
	a, b, other := told(t, plain(1)[0]), told(t, plain(2)[1]), told(t, plain(3)[2])
	changed := func(at int) []byte {
		f := slices.Clone(b)
		f[at] ^= 1
		return f
	}
	for what, c := range map[string]struct {
		replies [][]byte // the parts of messages, nil between two
		want    bool
	}{
		"the same":             {[][]byte{a, b}, true},
		"in another order":     {[][]byte{b, a}, true},
		"in two messages":      {[][]byte{a, nil, b}, true},
		"an empty one between": {[][]byte{a, nil, nil, b, nil}, true},
		"older":                {[][]byte{a, changed(7)}, true},
		"more packets":         {[][]byte{a, changed(39)}, true},
		"none":                 {nil, false},
		"one missing":          {[][]byte{a}, false},
		"one twice":            {[][]byte{a, b, b}, false},
		"twice for another":    {[][]byte{b, nil, b}, false},
		"one more":             {[][]byte{a, b, other}, false},
		"another":              {[][]byte{a, other}, false},
		"other table":          {[][]byte{a, changed(2)}, false},
		"other priority":       {[][]byte{a, changed(13)}, false},
		"idle timeout":         {[][]byte{a, changed(15)}, false},
		"hard timeout":         {[][]byte{a, changed(17)}, false},
		"flags":                {[][]byte{a, changed(19)}, false},
		"importance":           {[][]byte{a, changed(21)}, false},
		"other cookie":         {[][]byte{a, changed(31)}, false},
		"other match":          {[][]byte{a, changed(flowSize + 20)}, false},
		"other actions":        {[][]byte{a, changed(len(b) - 4)}, false},
		"longer":               {[][]byte{a, append(append([]byte{0, b[1] + 8}, b[2:]...), make([]byte, 8)...)}, false},
		"shorter":              {[][]byte{a, append([]byte{0, b[1] - 8}, b[2:len(b)-8]...)}, false},
	} {
		t.Run(what, func(t *testing.T) {
			r.t = t
			conn := r.answering(func(xid uint32) (out []byte) {
				var now [][]byte
				for _, part := range c.replies {
					if part == nil {
						out, now = append(out, reply(xid, multipartMore, now...)...), nil
						continue
					}
					now = append(now, part)
				}
				return append(out, reply(xid, 0, now...)...)
			})
			r.holding(conn, what, plain(2), c.want)
			r.holding(conn, what+", asked again", plain(2), c.want)
		})
	}
}

// TestRepliesThatAreNone end the connection, with what is wrong in them.
func TestRepliesThatAreNone(t *testing.T) {
	r := newRig(t)
	f := told(t, plain(1)[0])
	sized := func(size byte) []byte { return append([]byte{0, size}, f[2:]...) }
	for what, c := range map[string]struct {
		answers func(xid uint32) []byte
		why     string
	}{
		"other transaction":       {func(xid uint32) []byte { return reply(xid+1, 0, f) }, "which answers nothing"},
		"a bundle's answer":       {func(xid uint32) []byte { return appendBundleControl(nil, bundleCommit+1, xid, xid) }, "which answers nothing"},
		"one after the last":      {func(xid uint32) []byte { return append(reply(xid, 0, f), reply(xid, 0)...) }, "which answers nothing"},
		"without type":            {func(xid uint32) []byte { return appendMessage(nil, kindMultipartReply, xid, 0, 1, 0, 0) }, "4 bytes, which is no answer about flows"},
		"of ports":                {func(xid uint32) []byte { return appendMessage(nil, kindMultipartReply, xid, 0, 4, 0, 0, 0, 0, 0, 0) }, "multipart reply of type 4"},
		"unknown flag":            {func(xid uint32) []byte { return reply(xid, 2, f) }, "flags 0x2"},
		"flow cut short":          {func(xid uint32) []byte { return reply(xid, 0, f[:len(f)-8]) }, "of them are in the message"},
		"flow's head cut short":   {func(xid uint32) []byte { return reply(xid, 0, f, f[:20]) }, "a flow in 20 bytes, at least 56"},
		"flow of no length":       {func(xid uint32) []byte { return reply(xid, 0, sized(0)) }, "a flow of 0 bytes"},
		"flow without match":      {func(xid uint32) []byte { return reply(xid, 0, sized(flowSize)) }, "a flow of 48 bytes"},
		"cut short, when decided": {func(xid uint32) []byte { return reply(xid, 0, f, f, f, f[:20]) }, "a flow in 20 bytes"},
	} {
		t.Run(what, func(t *testing.T) {
			r.t = t
			conn := r.answering(c.answers)
			if is, err := conn.Holds(r.within(testPatience), inFragments(plain(1))); is && what != "one after the last" {
				t.Errorf("holds %v, %v", is, err)
			}
			isLost(t, conn, c.why)
		})
	}
}

// TestRefusedQuestion is an error, and no more: the switch is there.
func TestRefusedQuestion(t *testing.T) {
	r := newRig(t)
	c := r.answering(func(xid uint32) []byte { return appendMessage(nil, kindError, xid, 0, 1, 0, 5) })
	for range 2 {
		if is, err := c.Holds(r.within(testPatience), nil); is || err == nil || !strings.Contains(err.Error(), "the switch does not tell its flows: OFPBRC_EPERM") {
			t.Errorf("holds %v, error %v", is, err)
		}
	}
	r.apply(c, plain(1), nil)
}

// TestEndlessAnswerIsNotKept: whatever a switch sends, memory is bounded, the asker
// knows at once that it is another table, and bundles go on.
func TestEndlessAnswerIsNotKept(t *testing.T) {
	r := newRig(t)
	f := told(t, plain(1)[0])
	many := slices.Repeat([][]byte{f}, 500)
	stop := make(chan struct{})
	sent := make(chan int, 1)
	line := r.line(func(m message, client net.Conn) bool {
		if m.kind == kindMultipartRequest {
			go func() {
				n := 0
				for ; ; n++ {
					select {
					case <-stop:
						sent <- n
						return
					default:
						if _, err := client.Write(reply(m.xid, multipartMore, many...)); err != nil {
							t.Error(err)
						}
					}
				}
			}()
		}
		return m.kind != kindMultipartRequest
	})
	c := r.dialBy(line.socket, usual)
	r.holding(c, "endless", plain(600), false)
	r.apply(c, plain(3), nil)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	if _, err := c.Holds(r.within(300*time.Millisecond), nil); err == nil || !strings.Contains(err.Error(), "does not answer") {
		t.Errorf("a second question while the first is answered: %v", err)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	close(stop)
	n := <-sent
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 8<<20 || n < 100 {
		t.Errorf("%d bytes more in memory after %d messages of %d bytes", grown, n, len(reply(1, 0, many...)))
	}
	if c.Err() != nil {
		t.Error(c.Err())
	}
}

// FuzzFlowReplies: nothing that a switch could send makes the reader panic or keep
// more than is wanted, and no other table passes for the one that is wanted.
func FuzzFlowReplies(f *testing.F) {
	one := told(f, plain(1)[0])
	f.Add(reply(7, 0, one))
	f.Add(append(reply(7, multipartMore, one), reply(7, 0)...))
	f.Add(reply(7, 0, one, one))
	f.Add(appendMessage(nil, kindError, 7, 0, 1, 0, 5))
	want := inFragments(plain(1))
	f.Fuzz(func(t *testing.T, data []byte) {
		x := &comparison{xid: 7, want: 1, over: make(chan struct{})}
		digests, err := x.digests(want)
		if err != nil {
			t.Fatal(err)
		}
		in := strings.NewReader(string(data))
		var seen [][]byte
		for last := false; !last; {
			m, err := readMessage(in)
			if err != nil || m.kind != kindError && m.kind != kindMultipartReply {
				return
			}
			if last, err = x.take(m); err != nil {
				return
			}
			if m.kind == kindMultipartReply {
				seen = append(seen, m.body[multipartSize:])
			}
			if len(x.have) > 1 {
				t.Fatalf("%d flows are kept, one is wanted", len(x.have))
			}
		}
		if x.found != counted || !equal(x.have, digests) {
			return
		}
		got := slices.Concat(seen...)
		for _, i := range []int{3, 4, 5, 6, 7, 8, 9, 10, 11, 22, 23} { // padding and age
			got[i] = one[i]
		}
		copy(got[32:flowSize], one[32:]) // statistics
		if string(got) != string(one) {
			t.Fatal(errors.New("another flow passed"), got)
		}
	})
}

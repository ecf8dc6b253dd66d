package api

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/weft-sdn/weft/flows"
)

// TestMessageWriter: what is written flow by flow says what encode does.
func TestMessageWriter(t *testing.T) {
	delta := pinned(t)["delta"].(*Message)
	odd := Fragment{Key: "endpoint/\"\\\n", Flows: flows.Table{{Match: "x=\"\\\x01é<>&", Actions: "drop"}, {Actions: "output:1"}}}
	for name, m := range map[string]Message{
		"snapshot": *pinned(t)["snapshot"].(*Message), "delta": *delta, "ping": {Type: TypePing},
		"several": {Type: TypeDelta, Set: []Fragment{delta.Set[0], odd, {Key: "empty"}}, Patch: []Patch{delta.Patch[0], {Key: "none"}, {Key: "b", Remove: odd.Flows}}},
	} {
		var out strings.Builder
		w := newMessageWriter(&out)
		w.message(m)
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		var written, encoded any
		if err := json.Unmarshal([]byte(out.String()), &written); err != nil {
			t.Fatalf("%s: %v: %s", name, err, out.String())
		}
		if err := json.Unmarshal([]byte(encode(m)), &encoded); err != nil {
			t.Fatal(err)
		}
		if name == "several" { // nil and empty lists are the same to readers
			encoded = normal(encoded)
		}
		if !reflect.DeepEqual(written, encoded) {
			t.Errorf("%s:\nwritten %s\nencoded %s", name, out.String(), encode(m))
		}
	}
}

// normal has an empty list where encoding/json writes null.
func normal(message any) any {
	for _, f := range message.(map[string]any)["set"].([]any) {
		if f := f.(map[string]any); f["flows"] == nil {
			f["flows"] = []any{}
		}
	}
	return message
}

// TestFlowThatDoesNotParse: a message with one is refused by name.
func TestFlowThatDoesNotParse(t *testing.T) {
	var m Message
	err := json.Unmarshal([]byte(`{"type":"delta","set":[{"key":"policy/1","hash":"","flows":["banana"]}]}`), &m)
	if err == nil || !strings.Contains(err.Error(), `"banana": no actions=`) {
		t.Errorf("%v", err)
	}
}

package flows

import (
	"strings"
	"testing"
)

// TestSwitchPrintsWhatWeCompile: over a cell with everything in it, the text
// of every flow is what the real switch prints, with and without statistics,
// with table names and with numbers, and parses to the same flow.
func TestSwitchPrintsWhatWeCompile(t *testing.T) {
	r := newRig(t)
	for seed := range uint64(10) {
		cell := randomCellFrom(seed)
		want := Compile(cell)
		r.load(cell)
		for _, flags := range [][]string{{"--no-stats", "--no-names"}, {"--stats", "--no-names"}} {
			text := r.br.Ofctl("", append(flags, "dump-flows", "br-weft")...)
			have, err := ParseTable(text)
			if err != nil {
				t.Fatal(err)
			}
			if have.String() != want.String() {
				t.Fatalf("seed %d, %v:\n%s", seed, flags, diffText(have, want))
			}
		}
		// With --names ports have names too, and nothing else differs.
		names := strings.NewReplacer("in_port=tunnel", "in_port=1", "output:tunnel", "output:1", "in_port=weftdeny", "in_port=2", "output:weftdeny", "output:2", "in_port=c1", "in_port=1")
		have, err := ParseTable(names.Replace(r.br.Ofctl("", "--names", "--no-stats", "dump-flows", "br-weft")))
		if err != nil || have.String() != want.String() {
			t.Fatalf("seed %d, --names: %v\n%s", seed, err, diffText(have, want))
		}
	}
}

func TestParseFlowNormalises(t *testing.T) {
	for text, want := range map[string]string{
		" cookie=0x100000000000000a, duration=3.25s, table=10, n_packets=7, n_bytes=42, idle_age=1, priority=0 actions=drop": "cookie=0x100000000000000a, table=portsec, priority=0 actions=drop",
		"table=classify, in_port=7 actions=goto_table:10":                                                                    "table=classify, in_port=7 actions=goto_table:portsec",
		" table=0, priority=3,ip actions=ct(commit,table=25,zone=7,exec(load:0x1->NXM_NX_CT_MARK[])),ct(table=30)":           "table=classify, priority=3,ip actions=ct(commit,table=state,zone=7,exec(load:0x1->NXM_NX_CT_MARK[])),ct(table=destination)",
		" cookie=0x0, duration=1s, table=99, n_packets=0, n_bytes=0, reset_counts actions=NORMAL":                            "table=99 actions=NORMAL",
	} {
		f, err := ParseFlow(text)
		if err != nil || f.String() != want {
			t.Errorf("%s:\ngot  %v, %v\nwant %s", text, f, err, want)
		}
	}
}

func TestParseErrorsNameTheField(t *testing.T) {
	for text, want := range map[string]string{
		"":                                         "no actions=",
		"table=0":                                  "no actions=",
		"table=0 actions=":                         "no actions=",
		"table=nowhere actions=drop":               `table "nowhere"`,
		"table=255 actions=drop":                   `table "255"`,
		"priority=65536 actions=drop":              `priority "65536"`,
		"cookie=x actions=drop":                    `cookie "x"`,
		"table=0 actions=goto_table:nowhere":       `table "nowhere"`,
		"table=0 actions=ct(table=,zone=1)":        `table ""`,
		"table=0, priority=1 actions= drop ":       "stray space",
		"table=0, priority=1 actions=goto_table:1": "",
	} {
		_, err := ParseFlow(text)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: error %v, want %q", text, err, want)
		}
	}
	if _, err := ParseTable("table=0 actions=drop\n\nOFPST_FLOW reply (OF1.4):\nnonsense\n"); err == nil || !strings.HasPrefix(err.Error(), "line 4: ") {
		t.Errorf("error does not name the line: %v", err)
	}
	for _, text := range []string{"", "00", strings.Repeat("0", 33), strings.Repeat("g", 32)} {
		if _, err := ParseHash(text); err == nil {
			t.Errorf("ParseHash(%q) accepts it", text)
		}
	}
	if h := (Hash{1, 2}); func() bool { got, err := ParseHash(h.String()); return err != nil || got != h }() {
		t.Error("a hash does not survive its own text")
	}
}

// FuzzParseFlow: no input panics, and what is accepted prints to text that
// means the same flow.
func FuzzParseFlow(f *testing.F) {
	for _, flow := range Compile(randomCellFrom(1)) {
		f.Add(flow.String())
	}
	f.Add(" cookie=0x0, duration=1s, table=99, n_packets=0, priority=5,ip actions=ct(table=7),goto_table:10")
	f.Fuzz(func(t *testing.T, text string) {
		flow, err := ParseFlow(text)
		if err != nil {
			return
		}
		again, err := ParseFlow(flow.String())
		if err != nil || again != flow {
			t.Fatalf("%q\nparsed  %+v\nprinted %q\nparsed  %+v, %v", text, flow, flow.String(), again, err)
		}
		_, _, _ = Explain(flow.Cookie)
		_ = Check(Table{flow})
	})
}

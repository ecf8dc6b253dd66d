package doctor

import (
	"cmp"
	"context"
	"os/exec"

	"github.com/weft-sdn/weft/api"
)

// program is one that the agent runs.
type program struct {
	name    string // or path
	debian  string // the package that it is in
	without string // what fails, for people
}

// programs are all that the agent runs.
func (c Cell) programs() []program {
	return []program{
		{cmp.Or(c.Ofctl, "ovs-ofctl"), "openvswitch-common", "the agent cannot see what the switch holds, and so installs no flow"},
		{"nft", "nftables", "the agent makes no rules of the host: no port is mapped, nothing masqueraded and nothing denied is answered"},
	}
}

func lookPrograms(_ context.Context, _ Sources, f *Facts) error {
	for _, p := range f.Cell.programs() {
		if _, err := exec.LookPath(p.name); err != nil {
			f.Missing = append(f.Missing, p)
		}
	}
	return nil
}

func judgePrograms(f Facts) []api.Finding {
	if len(f.Missing) == 0 {
		return []api.Finding{fine(Programs, "all that weft-agent runs are in its PATH")}
	}
	var all []api.Finding
	for _, p := range f.Missing {
		all = append(all, failure(Programs, "apt-get install "+p.debian, "there is no %s in weft-agent's PATH: %s", p.name, p.without))
	}
	return all
}

package e2e

import (
	"testing"

	"github.com/weft-sdn/weft/testbed"
)

// Killing an agent loses no packet of running traffic, and after its restart
// nothing is installed again. A change that it missed arrives then.
func TestAgentRestart(t *testing.T) {
	bed := bed(t)
	front, back := bed.Cell(1).Run("front"), bed.Cell(2).Run("back")
	bed.Allow(front, back, "tcp/8080")
	bed.Allow(front, back, "udp/8080")
	tcp, udp := bed.Talk(front, back, "tcp/8080"), bed.Talk(front, back, "udp/8080")
	before := bed.Cell(2).Snapshot()

	bed.Cell(2).KillAgent()
	tcp.Runs()
	udp.Runs()
	bed.Cell(2).StartAgent()
	tcp.Runs()
	udp.Runs()
	before.Untouched()
	tcp.LostNothing()
	udp.LostNothing()

	bed.Cell(2).KillAgent()
	bed.AllowLater(front, back, "tcp/9090")
	bed.Blocked(front, back, "tcp/9090")
	bed.Cell(2).StartAgent()
	bed.Reaches(front, back, "tcp/9090")
}

// Killing the controller loses no packet either; when it is back, the policies
// it had acknowledged are there, and the cells install nothing anew.
func TestControllerRestart(t *testing.T) {
	bed := bed(t)
	front, back := bed.Cell(1).Run("front"), bed.Cell(2).Run("back")
	bed.Allow(front, back, "tcp/8080")
	bed.Allow(front, back, "udp/8080")
	tcp, udp := bed.Talk(front, back, "tcp/8080"), bed.Talk(front, back, "udp/8080")
	var before []testbed.Installed
	for _, c := range bed.Cells() {
		before = append(before, c.Snapshot())
	}

	bed.Allow(back, front, "tcp/9999") // acknowledged, and then at once:
	bed.KillController()
	bed.Reaches(back, front, "tcp/9999")
	bed.StartController()
	for _, c := range bed.Cells() {
		c.AwaitConnected()
	}
	bed.Reaches(back, front, "tcp/9999")
	bed.Deny(back, front, "tcp/9999")
	bed.Blocked(back, front, "tcp/9999")
	for _, s := range before {
		s.Untouched()
	}
	tcp.LostNothing()
	udp.LostNothing()
}

// The agent repairs what others break: flows deleted behind its back, and a
// restarted switch that has none.
func TestSwitchRepair(t *testing.T) {
	bed := bed(t)
	front, back := bed.Cell(1).Run("front"), bed.Cell(3).Run("back")
	bed.Allow(front, back, "tcp/8080")
	bed.Reaches(front, back, "tcp/8080")
	before := bed.Cell(3).Snapshot()
	bed.Cell(3).RestartVswitchd()
	if err := bed.Eventually(before.SameFlows); err != nil {
		t.Errorf("after a restart of ovs-vswitchd: %v", err)
	}
	bed.Reaches(front, back, "tcp/8080")

	bed.Cell(3).WipeFlows()
	if err := bed.Eventually(before.SameFlows); err != nil {
		t.Errorf("after all flows were deleted: %v", err)
	}
	bed.Reaches(front, back, "tcp/8080")
}

// Package buildinfo says which build of Weft a program is, as the Go toolchain
// has stamped it: a bug report is worth little without. It must never be given a
// version by hand: nobody would remember to.
package buildinfo

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// Version is the program's release, or what the toolchain makes of the time and
// commit that it was built of and whether there were changes beside; "unknown"
// without those (-buildvcs=false). With the toolchain's own version and the
// platform.
func Version() string {
	version := "unknown"
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		version = info.Main.Version
	}
	return fmt.Sprintf("%s (%s %s/%s)", version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

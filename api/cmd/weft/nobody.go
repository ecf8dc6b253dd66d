package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/weft-sdn/weft/api"
)

// noteNobody says, beside the answer, that an app has no container: a misspelt
// name is as good as any to the controller, since policies may come before
// containers.
func noteNobody(out io.Writer, app string, list api.ReachersList) {
	if len(list.Endpoints) == 0 {
		fmt.Fprintf(out, "note: no container of app %s is known to this controller (weft endpoints shows all)\n", safe(app))
	}
}

// noteNobodies does so for the apps of a policy. What cannot be found out is
// not worth an error here: the policy is stored.
func noteNobodies(ctx context.Context, out io.Writer, client *api.Client, ids map[string]string) {
	for _, app := range slices.Sorted(maps.Keys(ids)) {
		if list, err := client.Reachers(ctx, ids[app]); err == nil {
			noteNobody(out, app, list)
		}
	}
}

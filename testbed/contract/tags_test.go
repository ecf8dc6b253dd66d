package contract

import (
	"fmt"
	"strings"
	"testing"

	"github.com/weft-sdn/weft/controller/server"
)

// tagList renders tags of apps, each as "app tag".
func tagList(tags ...string) string {
	var list []string
	for _, tag := range tags {
		app, number, _ := strings.Cut(tag, " ")
		list = append(list, fmt.Sprintf(`{"id":%q,"tag":%q,"type":"app"}`, app, number))
	}
	return `{"tags":[` + strings.Join(list, ",") + `]}`
}

// TestTags holds section 5: apps get the lowest free ids when policies name
// them first, and have none in the listing when none does any more.
func TestTags(t *testing.T) {
	onEach(t, func(t *testing.T, b *bed) {
		b.play(
			step{"1.12", "admin", tags, "", 200, tagList()},
			step{"5", "admin", post, body("cats dogs 1", "dogs wolves 1"), 200, `{}`},
			step{"1.12", "admin", tags, "", 200, tagList("cats 0001", "dogs 0002", "wolves 0003")},
			step{"1.12", "admin", "GET " + v0 + "/tags", "", 200, tagList("cats 0001", "dogs 0002", "wolves 0003")},
			step{"5", "admin", remove, body("cats dogs 1"), 200, `{}`},
			step{"5", "admin", tags, "", 200, tagList("dogs 0002", "wolves 0003")},
			step{"5", "admin", post, body("cats cats 1"), 200, `{}`}, // gets its own back, on purpose
			step{"5", "admin", tags, "", 200, tagList("cats 0001", "dogs 0002", "wolves 0003")},
		)
	})
}

// TestTagsRunOut holds section 5 for tag_length 1, which has 255 ids: the
// request that needs one more does nothing.
func TestTagsRunOut(t *testing.T) {
	onEach(t, func(t *testing.T, b *bed) {
		var many []string
		for i := range 254 {
			many = append(many, fmt.Sprintf("app-0 app-%d 1", i))
		}
		b.play(
			step{"5", "admin", post, body(many...), 200, `{}`},
			step{"5", "admin", post, body("app-1 one-more 1", "app-1 app-2 7", "app-1 two-more 1"), 500, wrong("database create failed")},
			step{"5", "admin", get + "?source_id=app-1", "", 200, list()},
			step{"5", "admin", post, body("app-1 one-more 1"), 200, `{}`},
			step{"5", "admin", post, body("app-1 two-more 1"), 500, wrong("database create failed")},
			step{"5", "admin", post, body("app-1 app-2 7"), 200, `{}`}, // among those that have one
		)
		if got := b.call("admin", tags, "").body; !strings.Contains(got, `{"id":"app-0","tag":"01","type":"app"}`) || !strings.HasSuffix(got, `{"id":"one-more","tag":"FF","type":"app"}]}`) {
			t.Errorf("tags %s", got)
		}
	}, func(c *server.Config) { c.TagLength = 1 })
}

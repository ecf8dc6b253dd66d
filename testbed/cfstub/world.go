package cfstub

import (
	"cmp"
	"slices"
	"time"
)

// Org is an organization.
type Org struct{ GUID, Name string }

// Space is a space of an organization, whose GUID it names.
type Space struct{ GUID, Name, Org string }

// App is an app in a space, whose GUID it names.
type App struct{ GUID, Name, Space string }

// SecurityGroup is an application security group. Rules is what Cloud
// Controller has under "rules": a list of objects.
type SecurityGroup struct {
	GUID, Name                   string
	Rules                        []map[string]any
	RunningDefault               bool
	StagingDefault               bool
	RunningSpaces, StagingSpaces []string // GUIDs
}

// role: a user (or client) is a developer of a space.
type role struct{ user, space string }

// world is what Cloud Controller knows; Stub.mu guards it.
type world struct {
	orgs       map[string]Org
	spaces     map[string]Space
	apps       map[string]App
	developers map[role]bool
	groups     []SecurityGroup
	updated    time.Time // of the security groups
	noRoles    bool
	noUpdate   bool
	page       int // objects per page, at most
}

func newWorld() world {
	return world{
		orgs: map[string]Org{}, spaces: map[string]Space{}, apps: map[string]App{}, developers: map[role]bool{},
		updated: time.Now(), page: 5000,
	}
}

// AddOrg makes an organization.
func (s *Stub) AddOrg(org Org) { s.change(func() { s.orgs[org.GUID] = org }) }

// AddApp makes an app, and its space if that does not exist. Without a name it
// is called by its GUID.
func (s *Stub) AddApp(app App) {
	app.Name = cmp.Or(app.Name, app.GUID)
	s.change(func() {
		if _, exists := s.spaces[app.Space]; !exists {
			s.spaces[app.Space] = Space{GUID: app.Space, Name: app.Space, Org: "org"}
		}
		s.apps[app.GUID] = app
	})
}

// RemoveApp deletes an app.
func (s *Stub) RemoveApp(guid string) { s.change(func() { delete(s.apps, guid) }) }

// AddDeveloper makes a user or client, named by its id, a developer of the space.
func (s *Stub) AddDeveloper(user, space string) {
	s.change(func() { s.developers[role{user, space}] = true })
}

// SetSecurityGroups makes these all that there are, and moves the time of the
// latest update forward by at least a second.
func (s *Stub) SetSecurityGroups(groups ...SecurityGroup) {
	s.change(func() {
		s.groups = slices.Clone(groups)
		s.updated = s.updated.Add(time.Second)
		if now := time.Now(); now.After(s.updated) {
			s.updated = now
		}
	})
}

// SetSecurityGroupsSilently is SetSecurityGroups without a new time of the
// latest update, as with two changes within its second.
func (s *Stub) SetSecurityGroupsSilently(groups ...SecurityGroup) {
	s.change(func() { s.groups = slices.Clone(groups) })
}

// WithoutRoles makes /v3/roles answer 404, as a Cloud Controller that only
// knows roles by its version 2.
func (s *Stub) WithoutRoles() { s.change(func() { s.noRoles = true }) }

// WithoutLatestUpdate makes /internal/v4/asg_latest_update answer 404.
func (s *Stub) WithoutLatestUpdate() { s.change(func() { s.noUpdate = true }) }

// PageSize bounds the objects of a page, whatever the client asks for.
func (s *Stub) PageSize(n int) { s.change(func() { s.page = n }) }

func (s *Stub) change(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

package pki

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/flows"
)

// Cell is a cell to make a certificate and a configuration file for.
type Cell struct {
	ID       flows.CellID
	Underlay netip.Addr // IPv4 of its tunnel end; the zero Addr is left to the operator
}

// Request is what Init is to make, in Dir.
type Request struct {
	Dir             string // absolute or relative; created with mode 0700
	Cells           []Cell
	Clients         []string // of the internal API that are no cells: an agent that is not ours
	ControllerNames []string // host names and addresses that agents reach the controller by; the first goes to their files. None: those of the certificate that is there, else of the controller's own machine
	Now             time.Time
}

// File is one file that Init was asked for.
type File struct {
	Path    string
	Made    bool     // false: it was there, and was not touched
	Differs []string // what was asked for and the file, which was there, says otherwise
	Unset   []string // what somebody has to set in it before it can be used
}

// The files of an installation, relative to its folder.
const (
	AuthorityCert  = "ca.crt"
	ControllerCert = "controller.crt"
	ControllerKey  = "controller.key"
	ControllerFile = "weft-controller.yaml"
)

// CellCert, CellKey and CellFile are a cell's files.
func CellCert(cell flows.CellID) string { return string(cell) + ".crt" }

// CellKey is the cell's private key.
func CellKey(cell flows.CellID) string { return string(cell) + ".key" }

// CellFile is an example of the configuration of the cell's agent.
func CellFile(cell flows.CellID) string { return "weft-agent-" + string(cell) + ".yaml" }

// clientSuffix ends the common name of a client that is no cell. A cell's has
// no dot, so whoever holds such a certificate cannot act as one.
const clientSuffix = ".client"

// ClientCert and ClientKey are a client's files.
func ClientCert(client string) string { return client + clientSuffix + ".crt" }

// ClientKey is the client's private key.
func ClientKey(client string) string { return client + clientSuffix + ".key" }

// reserved are the names that a cell cannot have here: its files would be others'.
var reserved = map[flows.CellID]bool{"ca": true, "controller": true}

// Init makes the certificates and configuration files that are not there yet,
// and returns all of them in order. It never changes a file that exists.
func Init(req Request) ([]File, error) {
	dir, err := filepath.Abs(req.Dir)
	if err != nil {
		return nil, err
	}
	if err := req.validate(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	names, err := controllerNames(filepath.Join(dir, ControllerCert), req.ControllerNames)
	if err != nil {
		return nil, err
	}
	ca, made, err := openAuthority(dir, req.Now)
	if err != nil {
		return nil, fmt.Errorf("certificate authority: %w", err)
	}
	b := &bundle{dir: dir, files: []File{{Path: filepath.Join(dir, AuthorityCert), Made: made}}}
	b.missing(ControllerCert, func(cert string) error {
		return ca.issue(cert, filepath.Join(dir, ControllerKey), "weft-controller", names, req.Now)
	})
	b.compare(func(f *File) error { return f.compareNames(req.ControllerNames) })
	b.missing(ControllerFile, func(path string) error {
		return write(path, controllerFile(dir), 0o644)
	})
	for _, cell := range req.Cells {
		b.missing(CellCert(cell.ID), func(cert string) error {
			return ca.issue(cert, filepath.Join(dir, CellKey(cell.ID)), string(cell.ID), nil, req.Now)
		})
		b.missing(CellFile(cell.ID), func(path string) error {
			return write(path, cellFile(dir, cell, names[0]), 0o644)
		})
		b.compare(func(f *File) error { return f.compareCell(cell, req.ControllerNames) })
	}
	for _, client := range req.Clients {
		b.missing(ClientCert(client), func(cert string) error {
			return ca.issue(cert, filepath.Join(dir, ClientKey(client)), client+clientSuffix, nil, req.Now)
		})
	}
	return b.files, b.err
}

// bundle collects the files and the first error.
type bundle struct {
	dir   string
	files []File
	err   error
}

// missing makes a file, unless it is there or an earlier one failed.
func (b *bundle) missing(name string, create func(path string) error) {
	if b.err != nil {
		return
	}
	path := filepath.Join(b.dir, name)
	_, err := os.Stat(path)
	made := errors.Is(err, fs.ErrNotExist)
	if made {
		err = create(path)
	}
	if err != nil {
		b.err = fmt.Errorf("%s: %w", path, err)
		return
	}
	b.files = append(b.files, File{Path: path, Made: made})
}

// compare looks at the file that was made or found last, unless an earlier one
// failed.
func (b *bundle) compare(look func(*File) error) {
	if b.err == nil {
		b.err = look(&b.files[len(b.files)-1])
	}
}

// hostName is a DNS name or an IPv4 address; others are refused before they
// get into a certificate that lasts for years.
var hostName = regexp.MustCompile(`^[a-zA-Z0-9]([a-zA-Z0-9.-]{0,251}[a-zA-Z0-9])?$`)

// clientName leaves room for the suffix in a common name, which has at most 64
// characters (RFC 5280).
var clientName = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9._-]{0,55}$`)

func (r Request) validate() error {
	var faults []error
	for _, name := range r.ControllerNames {
		if _, err := netip.ParseAddr(name); err != nil && !hostName.MatchString(name) {
			faults = append(faults, fmt.Errorf("controller name %q: neither a host name nor an address", name))
		}
	}
	for _, client := range r.Clients {
		if !clientName.MatchString(client) {
			faults = append(faults, fmt.Errorf("client %.80q: want 1 to 56 letters, digits, '.', '_' and '-', the first a letter or digit", client))
		}
	}
	vteps := map[netip.Addr]flows.CellID{}
	for _, cell := range r.Cells {
		if other, taken := vteps[cell.Underlay]; taken && cell.Underlay.IsValid() && other != cell.ID {
			faults = append(faults, fmt.Errorf("cell %s: underlay address %s: cell %s has it; two cells cannot share a tunnel end", cell.ID, cell.Underlay, other))
		}
		vteps[cell.Underlay] = cell.ID
		if err := api.CheckCell(cell.ID); err != nil {
			faults = append(faults, err)
		}
		if reserved[cell.ID] {
			faults = append(faults, fmt.Errorf("cell id %q: its files would overwrite others: choose another", cell.ID))
		}
		if cell.Underlay.IsValid() && !cell.Underlay.Is4() {
			faults = append(faults, fmt.Errorf("cell %s: underlay address %s: must be IPv4", cell.ID, cell.Underlay))
		}
	}
	return errors.Join(faults...)
}

// ParseCells parses "cell-1,cell-2=192.0.2.2": cell ids, each with its
// underlay address where that is known.
func ParseCells(text string) ([]Cell, error) {
	var cells []Cell
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		id, address, has := strings.Cut(part, "=")
		cell := Cell{ID: flows.CellID(id)}
		if has {
			var err error
			if cell.Underlay, err = netip.ParseAddr(address); err != nil {
				return nil, fmt.Errorf("cell %q: underlay address %q: %w", id, address, err)
			}
		}
		cells = append(cells, cell)
	}
	return cells, nil
}

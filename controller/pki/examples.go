package pki

import (
	"bytes"
	_ "embed"
	"net"
	"path/filepath"
	"text/template"
)

//go:embed weft-controller.yaml.tmpl
var controllerText string

//go:embed weft-agent.yaml.tmpl
var cellText string

var (
	controllerTemplate = template.Must(template.New("controller").Parse(controllerText))
	cellTemplate       = template.Must(template.New("cell").Parse(cellText))
)

// controllerFile is the example of a controller's configuration. Everything it
// stores lives beside the certificates, so that trying it out needs no root.
func controllerFile(dir string) []byte {
	return render(controllerTemplate, map[string]string{
		"Cert": filepath.Join(dir, ControllerCert), "Key": filepath.Join(dir, ControllerKey), "CA": filepath.Join(dir, AuthorityCert),
		"Database": filepath.Join(dir, "weft.db"), "Token": filepath.Join(dir, "token"),
	})
}

// unknownUnderlay stands where somebody has to say the address.
const unknownUnderlay = "0.0.0.0"

// cellFile is the example of the configuration of a cell's agent.
func cellFile(dir string, cell Cell, controllerName string) []byte {
	underlay := unknownUnderlay
	if cell.Underlay.IsValid() {
		underlay = cell.Underlay.String()
	}
	return render(cellTemplate, map[string]string{
		"Cell": string(cell.ID), "Underlay": underlay, "Controller": "https://" + net.JoinHostPort(controllerName, "4003"),
		"Cert": filepath.Join(dir, CellCert(cell.ID)), "Key": filepath.Join(dir, CellKey(cell.ID)), "CA": filepath.Join(dir, AuthorityCert),
	})
}

func render(t *template.Template, values map[string]string) []byte {
	var b bytes.Buffer
	if err := t.Execute(&b, values); err != nil {
		panic("pki: " + err.Error()) // the templates are part of the program
	}
	return b.Bytes()
}

package server

import "github.com/weft-sdn/weft/controller"

// Overlay lets tests see what the controller is told.
func (c Config) Overlay() (controller.Overlay, error) { return c.overlay() }

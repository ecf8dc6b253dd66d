package main

import (
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/weft-sdn/weft/cellagent"
	"github.com/weft-sdn/weft/settings"
)

// program is how this command is configured.
var program = settings.Program{
	Name: "weft-agent",
	Fresh: func() settings.Configuration {
		config := cellagent.DefaultConfig()
		return &config
	},
}

// loadConfig reads the file, the environment and the command's flags over the
// defaults. Its error lists all faults, each with its place, key and value;
// warnings are logged.
func loadConfig(cmd *cobra.Command, path string) (cellagent.Config, *slog.Logger, error) {
	config := cellagent.DefaultConfig()
	warnings, err := settings.Load(program.Sources(cmd, path), &config)
	if err != nil {
		return config, nil, err
	}
	log := slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), &slog.HandlerOptions{Level: config.Level()}))
	for _, w := range warnings {
		log.Warn("configuration", "warning", w)
	}
	return config, log, nil
}

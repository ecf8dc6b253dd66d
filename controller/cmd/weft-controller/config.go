package main

import (
	"log/slog"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/weft-sdn/weft/controller/server"
	"github.com/weft-sdn/weft/settings"
)

// program is how this command is configured.
var program = settings.Program{
	Name: "weft-controller",
	Fresh: func() settings.Configuration {
		config := server.Default()
		return &config
	},
}

// loadConfig reads the file, the environment and the command's flags over the
// defaults. Its error lists all faults, each with its place, key and value;
// warnings are logged.
func loadConfig(cmd *cobra.Command, path string) (server.Config, *slog.Logger, error) {
	return loadAs(cmd, path, func(c *server.Config) settings.Configuration { return c })
}

// loadValues does so for a command that needs no certificates.
func loadValues(cmd *cobra.Command, path string) (server.Config, *slog.Logger, error) {
	return loadAs(cmd, path, func(c *server.Config) settings.Configuration { return settings.WithoutFiles(c) })
}

func loadAs(cmd *cobra.Command, path string, as func(*server.Config) settings.Configuration) (server.Config, *slog.Logger, error) {
	config := server.Default()
	warnings, err := settings.Load(program.Sources(cmd, path), as(&config))
	if err != nil {
		return config, nil, err
	}
	log := slog.New(slog.NewJSONHandler(cmd.ErrOrStderr(), &slog.HandlerOptions{Level: config.Level()}))
	for _, w := range warnings {
		log.Warn("configuration", "warning", w)
	}
	return config, log, nil
}

// oldFlagNames maps flags that had another name before each key had one.
func oldFlagNames(_ *pflag.FlagSet, name string) pflag.NormalizedName {
	if name == "token-file" {
		name = "auth-token-file"
	}
	return pflag.NormalizedName(name)
}

package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/weft-sdn/weft/controller/gormstore"
)

// defaultConfig is where weft-controller init makes the file on a controller's
// machine.
const defaultConfig = "/etc/weft/weft-controller.yaml"

// databaseCommands are what operators do with the database beside running.
func databaseCommands() []*cobra.Command {
	return []*cobra.Command{migrateCommand(), backupCommand(), restoreCommand()}
}

// withConfig gives a command the flags that lead to the database.
func withConfig(cmd *cobra.Command, path *string) *cobra.Command {
	cmd.Flags().StringVar(path, "config", defaultConfig, "the controller's YAML file, which names the database")
	program.RegisterFlags(cmd)
	return cmd
}

// oneFile are the arguments of the commands that take a backup's path.
func oneFile(cmd *cobra.Command, args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("%s takes one FILE, but got %d: weft-controller %s", cmd.Name(), len(args), cmd.Use)
	}
	return nil
}

func migrateCommand() *cobra.Command {
	var path string
	return withConfig(&cobra.Command{
		Use:   "migrate [--config FILE]",
		Short: "Bring the database's schema up to date",
		Long: `migrate takes the steps that the database's schema is behind, and says which. A
controller does the same when it starts, and of several that start at once one does.
Run it before an upgrade to see that it works. SQLite's file must not be in use.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			config, log, err := loadValues(cmd, path)
			if err != nil {
				return err
			}
			store, err := gormstore.Open(cmd.Context(), config.Database, gormstore.Options{Log: log})
			if err != nil {
				return err
			}
			switch from, to := store.Migrated(); from {
			case "":
				fmt.Fprintf(cmd.OutOrStdout(), "made the schema, up to step %s\n", to)
			case to:
				fmt.Fprintf(cmd.OutOrStdout(), "nothing to do: the schema is at step %s\n", to)
			default:
				fmt.Fprintf(cmd.OutOrStdout(), "brought the schema from step %s to %s\n", from, to)
			}
			return store.Close()
		},
	}, &path)
}

func backupCommand() *cobra.Command {
	var path string
	return withConfig(&cobra.Command{
		Use:   "backup FILE [--config FILE]",
		Short: "Copy the SQLite database into a new file, while the controller runs",
		Long: `backup copies the database as of one moment into a new file that only its owner may
read. The controller may run and write meanwhile. A MySQL server has its own tools.`,
		Args: oneFile,
		RunE: func(cmd *cobra.Command, args []string) error {
			config, _, err := loadValues(cmd, path)
			if err != nil {
				return err
			}
			if err := gormstore.Backup(cmd.Context(), config.Database, args[0]); err != nil {
				return fmt.Errorf("backup: %w", err)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "copied the database to %s\n", args[0])
			return nil
		},
	}, &path)
}

func restoreCommand() *cobra.Command {
	var path string
	return withConfig(&cobra.Command{
		Use:   "restore FILE [--config FILE]",
		Short: "Put a backup in the place of the SQLite database, while no controller runs",
		Long: `restore checks a file that backup made and puts a copy of it in the place of the
database, which it keeps under another name. Stop the controller before. What was
written since the backup is gone: after the start every agent is told anew.`,
		Args: oneFile,
		RunE: func(cmd *cobra.Command, args []string) error {
			config, _, err := loadValues(cmd, path)
			if err != nil {
				return err
			}
			aside, err := gormstore.Restore(cmd.Context(), config.Database, args[0], time.Now())
			if err != nil {
				if aside != "" {
					err = errors.Join(err, fmt.Errorf("the database that was there is kept as %s", aside))
				}
				return fmt.Errorf("restore: %w", err)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "restored the database from %s\n", args[0])
			if aside != "" {
				fmt.Fprintf(cmd.OutOrStdout(), "the database that was there is kept as %s\n", aside)
			}
			return nil
		},
	}, &path)
}

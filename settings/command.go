package settings

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
)

// Program is a command with a configuration file.
type Program struct {
	Name  string               // such as weft-controller
	Fresh func() Configuration // one that has the defaults
}

// Sources of the program's configuration: the file, the process's environment,
// in which variables begin with the program's name, and the flags that the
// command line has.
func (p Program) Sources(cmd *cobra.Command, file string) Sources {
	return Sources{
		File:   file,
		Prefix: strings.ToUpper(strings.ReplaceAll(p.Name, "-", "_")) + "_",
		Env:    os.Environ(),
		Flags:  givenFlags(cmd.Flags()),
	}
}

// RegisterFlags gives a command a flag for each key, which Sources reads.
func (p Program) RegisterFlags(cmd *cobra.Command) { registerFlags(cmd.Flags(), p.Fresh().Keys()) }

// Command is the program's subcommand config: check, show, doc.
func (p Program) Command() *cobra.Command {
	cmd := &cobra.Command{Use: "config", Short: "Check or show the configuration", Args: cobra.NoArgs}
	cmd.AddCommand(
		p.subcommand(&cobra.Command{
			Use:   "check --config FILE",
			Short: "Report every fault of the configuration, with line and key",
			Long: `check reads the file, the environment and the flags as a start does, looks into
the files that they name, and reports everything that is wrong. It starts
nothing and changes nothing. The exit status is 0, and the output "ok", if the
program would start with this. Warnings are on standard error.`,
			Example: "  " + p.Name + " config check --config /etc/weft/" + p.Name + ".yaml",
		}, func(cmd *cobra.Command, _ *loader, _ []Key) { fmt.Fprintln(cmd.OutOrStdout(), "ok") }),
		p.subcommand(&cobra.Command{
			Use:     "show --config FILE",
			Short:   "Print the configuration as it counts, and where each value is from",
			Long:    "show prints every key as file, environment and flags have it together.\nSecrets are hidden. A configuration with faults is not shown, but reported.",
			Example: "  " + p.Name + " config show --config /etc/weft/" + p.Name + ".yaml",
		}, func(cmd *cobra.Command, l *loader, keys []Key) { l.show(cmd.OutOrStdout(), keys) }),
		p.docCommand(),
	)
	return cmd
}

// subcommand completes a command that loads the configuration and uses it.
func (p Program) subcommand(cmd *cobra.Command, use func(*cobra.Command, *loader, []Key)) *cobra.Command {
	var path string
	cmd.Args = cobra.NoArgs
	cmd.Flags().StringVar(&path, "config", "", "YAML file")
	p.RegisterFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if path == "" {
			return fmt.Errorf("--config FILE is missing, such as --config /etc/weft/%s.yaml", p.Name)
		}
		config := p.Fresh()
		l := load(p.Sources(cmd, path), config)
		warnings, err := l.result()
		for _, w := range warnings {
			fmt.Fprintf(cmd.ErrOrStderr(), "warning: %s\n", w)
		}
		if err != nil {
			return err
		}
		use(cmd, l, config.Keys())
		return nil
	}
	return cmd
}

// docCommand is for the developers of the program.
func (p Program) docCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "doc DOCUMENT EXAMPLE",
		Short:  "Rewrite the program's part of a document, and its example file",
		Hidden: true,
		Args:   cobra.ExactArgs(2),
		RunE: func(_ *cobra.Command, args []string) error {
			keys := p.Fresh().Keys()
			if err := rewrite(args[0], p.Name, Markdown(keys)); err != nil {
				return err
			}
			return os.WriteFile(args[1], []byte(Example(p.Name, keys)), 0o644)
		},
	}
}

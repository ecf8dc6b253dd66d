package main

import (
	"fmt"
	"slices"

	"github.com/spf13/cobra"
)

// newContext returns weft context.
func newContext(c *cli) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "context",
		Short: "Show, choose or forget the controllers that you logged in to",
		Example: `  weft context list
  weft context use prod
  weft context remove old`,
	}
	cmd.AddCommand(newContextList(c), newContextUse(), newContextRemove())
	return cmd
}

// contextRow is one context without its secrets.
type contextRow struct {
	Name    string `json:"name"`
	Current bool   `json:"current"`
	URL     string `json:"url"`
	Auth    string `json:"auth"` // how one authenticates, for people
	CCURL   string `json:"cc_url,omitempty"`
}

func newContextList(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "Show the contexts; * is the one in use",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			all, err := loadContexts()
			if err != nil {
				return err
			}
			list := []contextRow{}
			var rows [][]string
			for _, s := range all.Contexts {
				list = append(list, contextRow{s.Name, s.Name == all.Current, s.URL, s.how(), s.CCURL})
				mark := " "
				if s.Name == all.Current {
					mark = "*"
				}
				rows = append(rows, []string{mark, s.Name, s.URL, s.how(), s.CCURL})
			}
			document := struct {
				Contexts []contextRow `json:"contexts"`
			}{list}
			return c.print(cmd.OutOrStdout(), document, func() error {
				if len(list) == 0 {
					_, err := fmt.Fprintln(cmd.OutOrStdout(), "No context. weft login makes one.")
					return err
				}
				return printTable(cmd.OutOrStdout(), []string{" ", "NAME", "URL", "AUTH", "CLOUD CONTROLLER"}, rows)
			})
		},
	}
}

func newContextUse() *cobra.Command {
	return &cobra.Command{
		Use:   "use NAME",
		Short: "Choose the context of the commands that follow",
		Args:  cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			return changeContexts(args[0], func(all *contexts) { all.Current = args[0] })
		},
		ValidArgsFunction: completeContexts,
	}
}

func newContextRemove() *cobra.Command {
	return &cobra.Command{
		Use:   "remove NAME",
		Short: "Forget a context and its secrets",
		Args:  cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			return changeContexts(args[0], func(all *contexts) {
				all.Contexts = slices.DeleteFunc(all.Contexts, func(s savedContext) bool { return s.Name == args[0] })
				if all.Current == args[0] {
					all.Current = ""
				}
			})
		},
		ValidArgsFunction: completeContexts,
	}
}

// changeContexts changes the file, if it has the context.
func changeContexts(name string, change func(*contexts)) error {
	all, err := loadContexts()
	if err != nil {
		return err
	}
	if all.find(name) == nil {
		return fmt.Errorf("there is no context %q: weft context list shows those that there are", name)
	}
	change(all)
	return all.save()
}

func completeContexts(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	all, err := loadContexts()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	var names []string
	for _, s := range all.Contexts {
		names = append(names, s.Name)
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

package manual

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"semper"
	"semper/cli/draw"
)

// Man is the command that writes man pages, and tells stdout how many.
func Man(stdout io.Writer) *cobra.Command {
	return &cobra.Command{
		Use: "man DIR", Short: "write man pages into a directory", Example: "  semper man /usr/local/share/man/man1", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := os.MkdirAll(args[0], 0o755); err != nil {
				return &semper.Error{Code: semper.Invalid, Op: "man", Err: err}
			}
			root := cmd.Root()
			root.DisableAutoGenTag = true
			if err := doc.GenManTree(root, &doc.GenManHeader{Title: "SEMPER", Section: "1", Source: "semper " + semper.Version}, args[0]); err != nil {
				return &semper.Error{Code: semper.Internal, Op: "man", Err: err}
			}
			pages, err := filepath.Glob(filepath.Join(args[0], "semper*.1"))
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(stdout, "%s written to %s\n", draw.Plural(len(pages), "page"), args[0])
			return err
		},
	}
}

// Completion is the command that writes completion scripts to stdout.
func Completion(stdout io.Writer) *cobra.Command {
	shells := []string{"bash", "zsh", "fish", "powershell"}
	return &cobra.Command{
		Use: "completion SHELL", Short: "print the completion script of a shell: bash, zsh, fish, powershell",
		Example:   "  semper completion bash > /etc/bash_completion.d/semper\n  semper completion zsh > \"${fpath[1]}/_semper\"",
		ValidArgs: shells, Args: cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs),
		RunE: func(cmd *cobra.Command, args []string) error {
			root, w := cmd.Root(), stdout
			switch args[0] {
			case "bash":
				return root.GenBashCompletionV2(w, true)
			case "zsh":
				return root.GenZshCompletion(w)
			case "fish":
				return root.GenFishCompletion(w, true)
			}
			return root.GenPowerShellCompletionWithDesc(w)
		},
	}
}

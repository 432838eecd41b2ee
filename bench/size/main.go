// Command size measures the size of the repository, and compares it with a commit. "make size BASE=COMMIT" runs it.
//
//   - Lines of code are the lines that hold anything besides comments and blanks: all Go of the three modules, and apart from it
//     Python, C++, make, HTML and the like. Tests and testdata do not count.
//   - Exported names are types, functions, variables and constants at the top level of packages that users may import, without
//     methods and fields.
//   - A package pulls in the packages that "go list -deps" names, without the standard library and itself, in a program
//     without LibTorch.
//   - Imports between rooms are pairs of rooms of testdata/rooms.txt. A pair runs upward where the imported room is on a higher
//     floor. Both trees are held against today's table.
//   - A reference between files of one package is a pair of files of which the first uses a top-level name or a method that the
//     second declares. How many run upward is how many must go so that the files can be laid in floors; a greedy search
//     finds the number, so the true minimum may be a little lower.
//
// Every figure is read from the files of a tree, so any commit can be the base. Today's tree is the folder as it is.
package main

import (
	"archive/tar"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
)

func main() {
	base := flag.String("base", "", "commit to compare with")
	dir := flag.String("dir", "..", "root of the repository")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *dir, *base, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "size:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, dir, base string, out io.Writer) error {
	after, err := measure(ctx, dir, dir)
	if err != nil {
		return err
	}
	if base == "" {
		return print(out, []column{{"today", after}})
	}
	tree, err := os.MkdirTemp("", "size-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tree)
	if err := checkOut(ctx, dir, base, tree); err != nil {
		return err
	}
	before, err := measure(ctx, dir, tree)
	if err != nil {
		return fmt.Errorf("%s: %w", base, err)
	}
	return print(out, []column{{base, before}, {"today", after}})
}

// checkOut writes the files of a commit into an empty folder.
func checkOut(ctx context.Context, dir, commit, to string) error {
	cmd := exec.CommandContext(ctx, "git", "-C", dir, "archive", "--format=tar", "--end-of-options", commit)
	cmd.Stderr = os.Stderr
	archive, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	err = extract(archive, to)
	_, drained := io.Copy(io.Discard, archive)
	if err := errors.Join(err, drained, cmd.Wait()); err != nil {
		return fmt.Errorf("git archive of %q: %w", commit, err)
	}
	return nil
}

// extract writes the folders and plain files of an archive; links, of which the repository has none, are left out.
func extract(archive io.Reader, dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	for r := tar.NewReader(archive); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if header.Typeflag != tar.TypeReg {
			continue
		}
		data, err := io.ReadAll(r)
		if err != nil {
			return err
		}
		if err := root.MkdirAll(filepath.Dir(header.Name), 0o755); err != nil {
			return err
		}
		if err := root.WriteFile(header.Name, data, 0o644); err != nil {
			return err
		}
	}
}

package main

import (
	"go/scanner"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/retort-ir/retort/internal/rooms"
)

// lines are lines of code: those that hold anything besides blanks and comments. Tests and testdata do not count.
type lines struct {
	Go    int
	Other int // Python, C++, shell, make, YAML, HTML, CSS and JavaScript
}

func countLines(dir string) (lines, error) {
	var n lines
	err := rooms.Walk(dir, func(file string) error {
		c, known := comments[path.Ext(file)]
		if path.Base(file) == "Makefile" {
			c, known = hash, true
		}
		if !known && path.Ext(file) != ".go" {
			return nil
		}
		source, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			return err
		}
		if known {
			n.Other += c.count(string(source))
		} else {
			n.Go += goLines(source)
		}
		return nil
	})
	return n, err
}

// goLines counts the lines on which a token other than a comment is or goes on.
func goLines(source []byte) int {
	var s scanner.Scanner
	file := token.NewFileSet().AddFile("", -1, len(source))
	s.Init(file, source, nil, 0) // without comments
	n, last := 0, 0
	for {
		position, tok, text := s.Scan()
		if tok == token.EOF {
			return n
		}
		if tok == token.SEMICOLON && text == "\n" {
			continue
		}
		first := file.Line(position)
		end := first + strings.Count(text, "\n")
		n += end - max(first-1, last)
		last = end
	}
}

// comment is how a language writes its comments.
type comment struct {
	line       string // up to the end of the line, "" for none
	begin, end string // over several lines, "" for none
}

var (
	hash     = comment{line: "#"}
	slashes  = comment{line: "//", begin: "/*", end: "*/"}
	comments = map[string]comment{
		".py": {line: "#", begin: `"""`, end: `"""`}, ".sh": hash, ".yml": hash, ".yaml": hash,
		".c": slashes, ".cpp": slashes, ".h": slashes, ".js": slashes, ".css": {begin: "/*", end: "*/"},
		".html": {begin: "<!--", end: "-->"},
	}
)

// count counts the lines that neither are blank nor lie within a comment that begins at the beginning of a line.
func (c comment) count(source string) int {
	n, inside := 0, false
	for line := range strings.Lines(source) {
		line = strings.TrimSpace(line)
		switch {
		case inside:
			inside = !strings.Contains(line, c.end)
		case line == "" || c.line != "" && strings.HasPrefix(line, c.line):
		case c.begin != "" && strings.HasPrefix(line, c.begin):
			inside = !strings.Contains(line[len(c.begin):], c.end)
		default:
			n++
		}
	}
	return n
}

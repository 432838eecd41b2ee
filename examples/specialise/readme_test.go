package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The program of this folder compiles with every build, so the README's program does too.
func TestTheReadmeHasThisProgram(t *testing.T) {
	source, err := os.ReadFile("main.go")
	require.NoError(t, err)
	start := strings.Index(string(source), "package main\n")
	require.GreaterOrEqual(t, start, 0)
	program := string(source[start:])

	readme, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	require.NoError(t, err)
	blocks := regexp.MustCompile("(?ms)^```go\n(.*?)^```$").FindAllStringSubmatch(string(readme), -1)
	require.Len(t, blocks, 1)
	require.Equal(t, program, blocks[0][1])

	lines := 0
	for line := range strings.Lines(program) {
		if strings.TrimSpace(line) != "" {
			lines++
		}
	}
	require.LessOrEqual(t, lines, 20, "lines that are not blank")
}

func TestTheReadmeIsShort(t *testing.T) {
	readme, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	require.NoError(t, err)
	lines := strings.Split(strings.TrimSuffix(string(readme), "\n"), "\n")
	require.Less(t, len(lines), 180)
	for i, line := range lines {
		require.LessOrEqual(t, len([]rune(line)), 120, "line %d", i+1)
	}
}

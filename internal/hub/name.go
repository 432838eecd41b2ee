package hub

import (
	"fmt"
	"regexp"
	"strings"
)

// name is a parsed name of a repository, or of a file in it.
type name struct {
	id       string // ORGANISATION/MODEL
	revision string // a branch, tag or commit
	file     string // "": what a model needs
}

var repositoryID = regexp.MustCompile(`^[0-9A-Za-z_][0-9A-Za-z._-]*/[0-9A-Za-z_][0-9A-Za-z._-]*$`)

const defaultRevision = "main"

// parse returns false for a text that is not the name of a repository.
func parse(text string) (name, bool) {
	n := name{revision: defaultRevision}
	rest, file, isFile := strings.Cut(text, ":")
	id, revision, isRevision := strings.Cut(rest, "@")
	if isRevision {
		n.revision = revision
	}
	n.id, n.file = id, file
	valid := repositoryID.MatchString(id) && !strings.Contains(id, "--") && !strings.Contains(id, "..") &&
		len(id) <= 96 && n.revision != "" && isFile == (file != "")
	return n, valid
}

// IsName says whether a text reads as the name of a repository, or of a file in one.
func IsName(text string) bool {
	_, ok := parse(text)
	return ok
}

func (n name) String() string {
	text := n.id
	if n.revision != defaultRevision {
		text += "@" + n.revision
	}
	return text
}

// folder is the name of the repository's folder in the cache.
func (n name) folder() string { return "models--" + strings.ReplaceAll(n.id, "/", "--") }

var (
	commitHash = regexp.MustCompile(`^[0-9a-f]{40}([0-9a-f]{24})?$`)
	safeETag   = regexp.MustCompile(`^[0-9A-Za-z_-][0-9A-Za-z._-]{0,127}$`)
)

// parseETag returns an ETag without its quotes, which is the name of a blob.
func parseETag(header string) (string, error) {
	etag := strings.Trim(strings.TrimPrefix(header, "W/"), `"`)
	if !safeETag.MatchString(etag) {
		return "", fmt.Errorf("the server's ETag %.80q is not that of a hub's file", header)
	}
	return etag, nil
}

package main

import (
	"context"
	"maps"
	"path/filepath"
	"slices"

	"github.com/retort-ir/retort/internal/rooms"
)

// size is what is measured of one tree.
type size struct {
	lines        lines
	names        map[string]int // exported, by the public package's folder
	dependencies map[string]int // packages outside the standard library that the public package pulls in
	rooms        roomImports
	inside       map[string]references // by the package's folder
}

// roomImports are pairs of rooms of which one imports the other.
type roomImports struct {
	Pairs   int
	Upward  int // from a lower floor to a higher one
	Refused int // that the table does not allow, those upward among them
}

// measure measures a tree. The table of the rooms is read from the folder dir, so that two trees are compared with
// the same table.
func measure(ctx context.Context, dir, tree string) (s size, err error) {
	if s.lines, err = countLines(tree); err != nil {
		return s, err
	}
	if s.names, err = exportedNames(tree); err != nil {
		return s, err
	}
	s.dependencies = map[string]int{}
	for _, folder := range slices.Sorted(maps.Keys(s.names)) {
		packages, err := rooms.Dependencies(ctx, tree, folder)
		if err != nil {
			return s, err
		}
		s.dependencies[folder] = len(packages)
	}
	table, err := rooms.Read(filepath.Join(dir, "testdata", "rooms.txt"))
	if err != nil {
		return s, err
	}
	if s.rooms, err = countRooms(table, tree); err != nil {
		return s, err
	}
	s.inside, err = packageReferences(tree)
	return s, err
}

func countRooms(table rooms.Table, tree string) (roomImports, error) {
	imports, err := rooms.Imports(tree)
	if err != nil {
		return roomImports{}, err
	}
	type pair struct{ from, to string }
	seen := map[pair]bool{}
	var n roomImports
	for _, i := range imports {
		from, known := table.Of(i.From)
		to, alsoKnown := table.Of(i.To)
		p := pair{from.Name, to.Name}
		if !known || !alsoKnown || from.Name == to.Name || seen[p] {
			continue
		}
		seen[p] = true
		n.Pairs++
		if from.Floor < to.Floor {
			n.Upward++
		}
		if !table.Allows(from, to) {
			n.Refused++
		}
	}
	return n, nil
}

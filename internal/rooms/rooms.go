// Package rooms compares the imports of a source tree of Retort with the table of its rooms, testdata/rooms.txt. The
// root's import test and "make size" use it.
package rooms

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
)

// Room is a line of the table.
type Room struct {
	Floor int
	Name  string
	Most  int      // packages outside the standard library that its own package may pull in; 0 is no bound
	May   []string // rooms whose packages it may import, or one of the words "below" and "public"
}

// Folder is where the room's own package is, relative to the root of the tree.
func (r Room) Folder() string {
	if r.Name == root {
		return "."
	}
	return r.Name
}

// The rooms that the words of the table name.
const (
	root     = "retort"
	internal = "internal"
)

// Table is the rooms in the order of the file.
type Table []Room

// Read reads a table.
func Read(path string) (Table, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	table, err := parse(data)
	if err != nil {
		return nil, fmt.Errorf("%s:%w", path, err)
	}
	return table, nil
}

func parse(data []byte) (Table, error) {
	var table Table
	lines := bufio.NewScanner(bytes.NewReader(data))
	for number := 1; lines.Scan(); number++ {
		fields := strings.Fields(lines.Text())
		if len(fields) == 0 || strings.HasPrefix(fields[0], "#") {
			continue
		}
		room, err := parseRoom(fields)
		if err != nil {
			return nil, fmt.Errorf("%d: %w", number, err)
		}
		table = append(table, room)
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	return table, table.check()
}

func parseRoom(fields []string) (Room, error) {
	if len(fields) < 3 {
		return Room{}, fmt.Errorf("%d fields, want a floor, a room, a bound and the rooms that it may import", len(fields))
	}
	floor, err := strconv.Atoi(fields[0])
	if err != nil || floor < 0 {
		return Room{}, fmt.Errorf("floor %q is no number", fields[0])
	}
	most := 0
	if fields[2] != "-" {
		if most, err = strconv.Atoi(fields[2]); err != nil || most < 1 {
			return Room{}, fmt.Errorf("bound %q is neither a number nor -", fields[2])
		}
	}
	return Room{Floor: floor, Name: fields[1], Most: most, May: fields[3:]}, nil
}

// check refuses rooms that occur twice and imports of rooms that do not exist or are on a higher floor.
func (t Table) check() error {
	floors := map[string]int{}
	for _, r := range t {
		if _, twice := floors[r.Name]; twice {
			return fmt.Errorf(" room %s occurs twice", r.Name)
		}
		floors[r.Name] = r.Floor
	}
	for _, r := range t {
		for _, name := range r.May {
			floor, known := floors[name]
			switch {
			case name == "below" || name == "public":
			case !known:
				return fmt.Errorf(" room %s may import %s, which is no room", r.Name, name)
			case floor > r.Floor:
				return fmt.Errorf(" room %s is on floor %d and may import %s on floor %d: imports run down only",
					r.Name, r.Floor, name, floor)
			}
		}
	}
	return nil
}

// Of returns the room of the package in a folder, which is relative to the root of the tree.
func (t Table) Of(folder string) (Room, bool) {
	var found Room
	for _, r := range t {
		if len(r.Name) > len(found.Name) && (folder == r.Folder() || strings.HasPrefix(folder, r.Name+"/")) {
			found = r
		}
	}
	return found, found.Name != ""
}

// Allows says whether packages of the room from may import those of the room to.
func (t Table) Allows(from, to Room) bool {
	switch {
	case from.Name == to.Name || slices.Contains(from.May, to.Name):
		return true
	case slices.Contains(from.May, "below"):
		return to.Floor < from.Floor
	case slices.Contains(from.May, "public"):
		return to.Floor < from.Floor && to.Name != internal
	}
	return false
}

// Package runfolder keeps a long job in a folder, so that it survives being killed at any moment:
//
//	manifest.json    settings, and for every stage its state, count, seconds, key and the hash of its file
//	NAME.jsonl       the records of the stage NAME, in order, each written once
//	lock             held by the process that works on the run; holds its number
//
// A stage's key is a SHA-256 over its own settings and the hashes of the files that it reads. [Folder.Begin] goes on with a
// stage whose key is the same, and starts it anew where it is not: what did not change is not redone.
//
// Stage files are JSON Lines whose records end with a member "crc32c", the CRC-32C of the record's number (8 bytes,
// little-endian, from 0) and its JSON without that member. A record that is changed, lost, doubled or moved is found:
//
//	{"passage":"p1","queries":[],"crc32c":"5d40e7a1"}
//
// What a kill leaves unfinished at the end of a file is cut off and reported by [Open]. Damage elsewhere is a
// [CorruptError], which [Repair] removes together with the records after it.
package runfolder

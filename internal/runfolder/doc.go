// Package runfolder keeps the state of a long job in a folder, so that the job survives a kill at any moment:
//
//	manifest.json    settings, and for every stage its state, count, seconds, key and the hash of its file
//	NAME.jsonl       the records of the stage NAME, in order, each written once
//	lock             held by the process that works on the run; holds its number
//
// A stage's key is a SHA-256 of its settings and of the hashes of the files that it reads. [Folder.Begin] resumes a
// stage whose key is the same, and starts any other stage anew.
//
// A stage's file is a ledger, see package ledger:
//
//	{"passage":"p1","queries":[],"crc32c":"5d40e7a1"}
//
// [Open] cuts off and reports an unfinished record at the end of the file, which a kill leaves. Damage elsewhere is an
// ErrDamaged; [Repair] removes the damaged record and the records after it.
package runfolder

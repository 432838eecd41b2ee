// Package gloo joins processes, on one machine or several, to train one student: a distill.Group over Gloo, the engine of
// LibTorch's c10d that PyTorch trains with on CPUs.
//
// Processes find each other as PyTorch's do, so that torchrun starts them, or a shell:
//
//	torchrun --no-python --nproc-per-node 2 ./train
//
//	MASTER_ADDR=host MASTER_PORT=29500 WORLD_SIZE=2 RANK=0 ./train   # and RANK=1 on another machine
//
//	options, err := gloo.FromEnv()
//	group, err := gloo.Connect(ctx, options)
//	defer group.Close()
//	opts.Group = group
//
// Nothing here has a password, and nothing is encrypted: whoever reaches the ports can join the group, read the
// gradients or change them. Where Host is localhost or a loopback address, all listen on loopback only. Where it is
// another IP address of rank 0, the store listens on it alone. A host name may mean different addresses on different
// machines, so the store then listens on all of them, as PyTorch's does. Between machines, use a network that only the
// workers are in.
//
// A process connects once: the keys of a group stay in the store. Workers of one machine should share its cores out among them
// (bert.Options.Threads). GLOO_SOCKET_IFNAME names the network interface, where that of the host's name is the wrong one.
package gloo

// Package gloo connects processes on one or several machines to train one student. It implements distill.Group with
// Gloo, the backend of LibTorch's c10d that PyTorch uses for training on CPUs.
//
// Processes find each other through the environment variables of PyTorch, so torchrun or a shell can start them:
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
// Gloo has neither authentication nor encryption: anyone who can reach the ports can join the group and read or change
// the gradients. If Host is localhost or a loopback address, all processes listen on loopback only. If Host is another
// IP address, the store listens on this address only. If Host is a host name, the store listens on all addresses, as in
// PyTorch. Between machines, use a private network.
//
// A process can connect only once, because the keys of a group stay in the store. Workers on one machine should divide
// its cores (transformer.Options.Threads). GLOO_SOCKET_IFNAME selects the network interface; the default is the interface of
// the host name.
package gloo

// SPDX-License-Identifier: MIT
/*
 * inner A B: multiply A by B on the processor of a virtual machine of its own.
 *
 * The machine has one page of memory and ten bytes of program, the last of which is HLT.
 */
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define MEMORY 0x1000
#define RESULT 0x0800

/* 16-bit real mode; CX and BX come set. */
static const uint8_t program[] = {
	0x31, 0xc0,		/* xor ax, ax */
	0x01, 0xd8,		/* add ax, bx */
	0xe2, 0xfc,		/* loop back to the add */
	0xa3, 0x00, 0x08,	/* mov [RESULT], ax */
	0xf4,			/* hlt */
};

static int must(int value, const char *what)
{
	if (value < 0) {
		perror(what);
		exit(1);
	}
	return value;
}

int main(int count, char **words)
{
	if (count != 3) {
		fprintf(stderr, "usage: inner A B\n");
		return 2;
	}
	int kvm = must(open("/dev/kvm", O_RDWR | O_CLOEXEC), "open /dev/kvm");
	int vm = must(ioctl(kvm, KVM_CREATE_VM, 0), "KVM_CREATE_VM");
	uint8_t *memory = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED) {
		perror("mmap");
		return 1;
	}
	memcpy(memory, program, sizeof(program));

	struct kvm_userspace_memory_region region = {
		.memory_size = MEMORY,
		.userspace_addr = (uintptr_t)memory,
	};
	must(ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region), "KVM_SET_USER_MEMORY_REGION");

	int cpu = must(ioctl(vm, KVM_CREATE_VCPU, 0), "KVM_CREATE_VCPU");
	int size = must(ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0), "KVM_GET_VCPU_MMAP_SIZE");
	struct kvm_run *run = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, cpu, 0);

	if (run == MAP_FAILED) {
		perror("mmap of the processor");
		return 1;
	}

	struct kvm_sregs segments;

	must(ioctl(cpu, KVM_GET_SREGS, &segments), "KVM_GET_SREGS");
	segments.cs.base = segments.cs.selector = 0;
	must(ioctl(cpu, KVM_SET_SREGS, &segments), "KVM_SET_SREGS");

	struct kvm_regs registers = {
		.rcx = (uint16_t)atoi(words[1]),
		.rbx = (uint16_t)atoi(words[2]),
		.rflags = 2,
	};
	must(ioctl(cpu, KVM_SET_REGS, &registers), "KVM_SET_REGS");
	must(ioctl(cpu, KVM_RUN, 0), "KVM_RUN");

	if (run->exit_reason != KVM_EXIT_HLT) {
		fprintf(stderr, "the inner machine ended with exit reason %u, not HLT\n", run->exit_reason);
		return 1;
	}
	printf("%u\n", memory[RESULT] | memory[RESULT + 1] << 8);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* First sector of the disk: goes to long mode, reads what its table names off the first ATA disk into memory and enters
 * a Linux kernel by the 64-bit boot protocol (Documentation/x86/boot.rst). image.py fills the table and the entry. */
	.code16
	.globl _start
_start:
	cli
	cld
	xorw %ax, %ax
	movw %ax, %ds
	movw %ax, %es
	movw %ax, %ss
	movw $0x7c00, %sp
	inb $0x92, %al /* A20 */
	orb $2, %al
	outb %al, $0x92

	/* identity map of the first GB: one table of each level, pages of 2 MB */
	xorl %eax, %eax
	movw $0x1000, %di
	movw $0x1000, %cx
	rep stosl
	movl $0x2003, 0x1000
	movl $0x3003, 0x2000
	movw $0x3000, %di
	movl $0x83, %eax
	movw $512, %cx
1:	movl %eax, (%di)
	addl $0x200000, %eax
	addw $8, %di
	loop 1b

	lgdt gdt_at
	movl $0x20, %eax /* CR4.PAE */
	movl %eax, %cr4
	movl $0x1000, %eax
	movl %eax, %cr3
	movl $0xc0000080, %ecx /* EFER.LME */
	rdmsr
	orl $0x100, %eax
	wrmsr
	movl $0x80000011, %eax /* CR0.PG, ET, PE */
	movl %eax, %cr0
	ljmp $0x10, $long_mode

	.code64
long_mode:
	movl $0x18, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %ss
	movl $table, %ebx
next_piece:
	movl (%rbx), %r8d /* first sector */
	movl 4(%rbx), %r9d /* how many */
	movl 8(%rbx), %edi /* where to */
	addl $12, %ebx
	testl %r9d, %r9d
	jz enter
next_command: /* READ SECTORS of 128, or of fewer at the end */
	movl $128, %ebp
	cmpl %ebp, %r9d
	cmovbl %r9d, %ebp
	movw $0x1f6, %dx
	movl %r8d, %eax
	shrl $24, %eax
	orb $0xe0, %al
	outb %al, %dx
	movw $0x1f2, %dx
	movl %ebp, %eax
	outb %al, %dx
	incl %edx
	movl %r8d, %eax
	outb %al, %dx
	incl %edx
	shrl $8, %eax
	outb %al, %dx
	incl %edx
	shrl $8, %eax
	outb %al, %dx
	movw $0x1f7, %dx
	movb $0x20, %al
	outb %al, %dx
	addl %ebp, %r8d
	subl %ebp, %r9d
next_sector:
	movw $0x1f7, %dx
2:	inb %dx, %al
	andb $0x88, %al /* BSY, DRQ */
	cmpb $0x08, %al
	jne 2b
	movw $0x1f0, %dx
	movl $256, %ecx
	rep insw
	decl %ebp
	jnz next_sector
	testl %r9d, %r9d
	jnz next_command
	jmp next_piece
enter:
	movl (%rbx), %eax
	movl 4(%rbx), %esi /* boot_params */
	jmp *%rax

	.balign 8
gdt:	.quad 0, 0
	.quad 0x00af9a000000ffff /* 0x10: code */
	.quad 0x00cf92000000ffff /* 0x18: data */
gdt_at:
	.word . - gdt - 1
	.long gdt

	.org 448
table: /* up to four times first sector, sectors, address; 0, 0, 0; entry, address of boot_params */
	.org 510
	.word 0xaa55

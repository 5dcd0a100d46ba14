// SPDX-License-Identifier: MIT
/*
 * hello: a character device that greets whoever was named to it last.
 *
 *	# echo Ada > /dev/hello
 *	# cat /dev/hello
 *	hello, Ada
 *
 * Writing "panic" makes the kernel panic, for the test of how that is reported.
 */
#include <linux/fs.h>
#include <linux/kernel.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#define NAME_SIZE 32

static char *greeting = "hello";
module_param(greeting, charp, 0444);
MODULE_PARM_DESC(greeting, "what is said before the name");

static DEFINE_MUTEX(lock);
static char name[NAME_SIZE] = "nobody";

static noinline void hello_give_up(void)
{
	panic("hello was told to give up");
}

static ssize_t hello_read(struct file *file, char __user *to, size_t count, loff_t *offset)
{
	char line[NAME_SIZE + 64];
	size_t length;

	mutex_lock(&lock);
	length = scnprintf(line, sizeof(line), "%s, %s\n", greeting, name);
	mutex_unlock(&lock);
	return simple_read_from_buffer(to, count, offset, line, length);
}

static ssize_t hello_write(struct file *file, const char __user *from, size_t count, loff_t *offset)
{
	char given[NAME_SIZE];

	if (count >= sizeof(given))
		return -EINVAL;
	if (copy_from_user(given, from, count))
		return -EFAULT;
	given[count] = '\0';
	if (sysfs_streq(given, "panic"))
		hello_give_up();

	mutex_lock(&lock);
	strscpy(name, strim(given), sizeof(name));
	mutex_unlock(&lock);
	return count;
}

static const struct file_operations hello_operations = {
	.owner = THIS_MODULE,
	.read = hello_read,
	.write = hello_write,
	.llseek = default_llseek,
};

static struct miscdevice hello_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "hello",
	.fops = &hello_operations,
};

static int __init hello_init(void)
{
	int error = misc_register(&hello_device);

	if (!error)
		pr_info("hello: ready at /dev/hello\n");
	return error;
}

static void __exit hello_exit(void)
{
	misc_deregister(&hello_device);
	pr_info("hello: gone\n");
}

module_init(hello_init);
module_exit(hello_exit);
MODULE_DESCRIPTION("A character device that greets");
MODULE_LICENSE("Dual MIT/GPL");

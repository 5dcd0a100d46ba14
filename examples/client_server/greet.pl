# Ask the server HOST to greet NAME: greet.pl HOST NAME.
use strict;
use warnings;
use IO::Socket::INET;

my ($host, $name) = @ARGV;
my $server = IO::Socket::INET->new(PeerHost => $host, PeerPort => 7000, Timeout => 3) or die "no server at $host\n";
print $server "$name\n";
print scalar <$server>;

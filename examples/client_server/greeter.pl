# A line-based server: NAME in, "hello, NAME" out. Prints to stdout whom it greeted, from where.
use strict;
use warnings;
use IO::Socket::INET;

$| = 1;
my $server = IO::Socket::INET->new(LocalPort => 7000, Listen => 5, ReuseAddr => 1) or die "cannot listen: $!";
while (my $client = $server->accept) {
    while (my $name = <$client>) {
        chomp $name;
        printf "%s from %s\n", $name, $client->peerhost;
        print $client "hello, $name\n";
    }
}

# Not yet run on a real host.
# Let go of this process's session into a guest, if it has one. Emits nothing.
if ($global:GuestSession) { Remove-PSSession -Session $global:GuestSession -ErrorAction SilentlyContinue }
$global:GuestSession = $null

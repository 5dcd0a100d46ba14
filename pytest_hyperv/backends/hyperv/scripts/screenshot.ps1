# Not yet run on a real host.
# The screen of a machine that has one. Emits Width, Height and Data: rows of RGB565 pixels, two bytes each, little-endian, top row first.
# Some builds of Hyper-V put the size of the data, four bytes, before the first pixel.
param([guid] $VMId)
$ErrorActionPreference = 'Stop'
$namespace = 'root\virtualization\v2'; $id = $VMId.ToString().ToUpperInvariant()
$system = Get-CimInstance -Namespace $namespace -ClassName Msvm_ComputerSystem -Filter "Name='$id'"
if (-not $system) { throw "there is no machine $id" }
$head = Get-CimInstance -Namespace $namespace -ClassName Msvm_VideoHead -Filter "SystemName='$id'" | Select-Object -First 1
if (-not $head -or -not $head.CurrentHorizontalResolution) { throw "the machine $id shows no screen" }
$width = [uint16] $head.CurrentHorizontalResolution; $height = [uint16] $head.CurrentVerticalResolution
$settings = Get-CimAssociatedInstance -InputObject $system -Association Msvm_SettingsDefineState -ResultClassName Msvm_VirtualSystemSettingData | Select-Object -First 1
$service = Get-CimInstance -Namespace $namespace -ClassName Msvm_VirtualSystemManagementService
$taken = Invoke-CimMethod -InputObject $service -MethodName GetVirtualSystemThumbnailImage -Arguments @{ TargetSystem = $settings; WidthPixels = $width; HeightPixels = $height }
$image = [byte[]] $taken.ImageData; $size = 2 * $width * $height
if ($taken.ReturnValue -ne 0 -or $image.Length -lt $size) { throw "Hyper-V gave no image of $id, its code is $($taken.ReturnValue)" }
$data = New-Object byte[] $size; [Array]::Copy($image, $image.Length - $size, $data, 0, $size)
[pscustomobject] @{ Width = [int] $width; Height = [int] $height; Data = $data }

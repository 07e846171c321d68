"""Measure a recording: every frame of a bag through the line, judged against the truth.

    ros2 launch rostro bag_eval.launch.py bag:=/data/party truth:=/data/party_truth
    ros2 launch rostro bag_eval.launch.py bag:=/data/party truth:=/data/party_truth realtime:=1.0

No frame is lost and the same bag gives the same report.json, whatever else the computer does; so the bag is
read as a file and not played. With `realtime` frames come at the speed of the recording times that number, and
those the computer is too slow for are displaced by newer ones, as on the robot. The end of the evaluation ends
the launch. The same without ROS: `rostro eval replay`.
"""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, EmitEvent, ExecuteProcess, OpaqueFunction, RegisterEventHandler
from launch.event_handlers import OnProcessExit
from launch.events import Shutdown
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.substitutions import ExecutableInPackage, FindPackageShare

# Name, default, description, option of `rostro eval replay`.
ARGUMENTS = [
    ('bag', None, 'The bag: an .mcap or .db3 file, or a rosbag2 folder', None),
    ('truth', None, 'Folder with the truth: `rostro eval replay --help` names its files', '--truth'),
    ('out', 'rostro-eval', 'Folder for report.html, report.json, people.mcap and people.jsonl', '--out'),
    ('gallery', '', 'People to recognise: a gallery file, which is only read, or a folder of pictures', '--gallery'),
    ('image', '', 'Image topic in the bag; empty: one of every camera', '--topic'),
    ('realtime', '', 'Speed of the playback; empty: every frame, none lost', '--realtime'),
    ('params_file', PathJoinSubstitution([FindPackageShare('rostro'), 'config', 'rostro.yaml']),
     'Parameter file', '--params-file'),
]


def evaluate(context):
    """Make the command from what was given, and end when it does."""
    given = {name: LaunchConfiguration(name).perform(context) for name, *_ in ARGUMENTS}
    options = [word for name, _, _, option in ARGUMENTS if option and given[name] for word in (option, given[name])]
    rostro = ExecutableInPackage(package='rostro', executable='rostro')
    command = ExecuteProcess(cmd=[rostro, 'eval', 'replay', given['bag'], *options], output='screen')
    end = RegisterEventHandler(OnProcessExit(
        target_action=command,
        on_exit=[EmitEvent(event=Shutdown(reason='the bag has been evaluated'))],
    ))
    return [command, end]


def generate_launch_description():
    """Describe the evaluation."""
    declared = [DeclareLaunchArgument(name, default_value=default, description=description)
                for name, default, description, _ in ARGUMENTS]
    return LaunchDescription([*declared, OpaqueFunction(function=evaluate)])
